"""The table of objects, as the guide shows it."""

from usina.apps.threed.parametric.measure import Chance, Choice, Count, Length, Size, Words
from usina.apps.threed.parametric.thing import Parameter, Thing


def row(thing: Thing) -> str:
    """One line of Markdown: its names, and what it takes with default and range."""
    takes = [
        _taken(each, thing.given.get(each.name, each.default))
        for each in thing.parameters
        if not isinstance(each.bound, Chance)
    ]
    names = (", ".join(thing.english), ", ".join(thing.portuguese))
    return f"| `{thing.name}` | {names[0]} | {names[1]} | {', '.join(takes)} |"


def _taken(parameter: Parameter, wanted: object) -> str:
    name = parameter.name.replace("_", " ")
    match parameter.bound:
        case Length(low, high):
            usual = "" if parameter.default is None else f" {_metres(parameter.default)}"
            return f"{name}{usual} ({_metres(low)} to {_metres(high)})"
        case Count(low, high):
            return f"{name} {parameter.default} ({low} to {high})"
        case Choice():
            return f"{'with' if wanted else 'without'} {name}"
        case Words(most):
            return f"{name} in quotes, up to {most} characters"
        case Size():
            return f"thread {parameter.default}"
        case Chance():
            return ""


def _metres(value: float) -> str:
    if value < 0.01:
        return f"{value * 1000:.4g} mm"
    return f"{value * 100:.4g} cm" if value < 1 else f"{value:.4g} m"
