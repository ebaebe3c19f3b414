"""Parameters at the ends of what its schema allows."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from usina.kernel.errors import Invalid
from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.intake import well_said
from usina.kernel.runners.check.subject import Subject

_MOST_CHOICES: Final = 24
_Schema = Mapping[str, Any]


async def smallest(subject: Subject) -> str:
    return await _extremes(subject, _smallest)


async def largest(subject: Subject) -> str:
    return await _extremes(subject, _largest)


async def choices(subject: Subject) -> str:
    await subject.first()
    wanted = [
        {name: value}
        for name, schema in _tried(subject).items()
        for value in schema.get("enum", ())
        if subject.request.params.get(name) != value
    ]
    wanted = [params for params in wanted if _allowed(subject, params)]
    if not wanted:
        raise Unchecked("no parameter with a default has choices")
    faults = [fault for params in wanted[:_MOST_CHOICES] if (fault := await _try(subject, params))]
    if faults:
        raise Broken("; ".join(faults))
    return ", ".join(_shown(params) for params in wanted[:_MOST_CHOICES])


async def _extremes(subject: Subject, end: Callable[[_Schema], object]) -> str:
    """All of them at once; only where that goes wrong, one by one to find the culprit."""
    await subject.first()
    singles = [
        {name: value}
        for name, schema in _tried(subject).items()
        if (value := end(schema)) is not None
    ]
    singles = [params for params in singles if _allowed(subject, params)]
    if not singles:
        raise Unchecked("no parameter with a default is bounded")
    together = {name: value for params in singles for name, value in params.items()}
    if _allowed(subject, together) and await _try(subject, together) is None:
        return _shown(together)
    faults = [fault for params in singles if (fault := await _try(subject, params))]
    if not faults and (fault := await _try(subject, together)):
        faults = [fault]
    if faults:
        raise Broken("; ".join(faults))
    return _shown(together)


async def _try(subject: Subject, params: Mapping[str, Any]) -> str | None:
    """What goes wrong with these; a refusal in good words is right, for the sake of the rest."""
    act = await subject.play(subject.with_params(params), timeout_seconds=await subject.patience())
    failure = act.played.failure
    if failure is None:
        return None
    if failure.code == "timeout":
        return f"{_shown(params)} took longer than {act.played.seconds:.0f} s; see --timeout"
    if failure.code != "invalid_input":
        return f"{_shown(params)} ended with {act.ending}"
    try:
        well_said(act, _shown(params))
    except Broken as broken:
        return str(broken)
    return None


def _tried(subject: Subject) -> dict[str, _Schema]:
    """Those with a default, and those that have to be given: the others are for special ends."""
    needed = subject.form.params_schema["required"]
    properties: dict[str, _Schema] = subject.form.params_schema["properties"]
    return {
        name: schema for name, schema in properties.items() if "default" in schema or name in needed
    }


def _allowed(subject: Subject, params: Mapping[str, Any]) -> bool:
    try:
        subject.with_params(params)
    except Invalid:
        return False
    return True


def _smallest(schema: _Schema) -> object:
    match schema.get("type"):
        case "integer" | "number":
            above = schema.get("exclusiveMinimum")
            step = 1 if schema["type"] == "integer" else 1e-9
            return schema.get("minimum", above + step if above is not None else None)
        case "boolean":
            return False
        case "string" if "enum" not in schema:
            return "a" * schema.get("minLength", 0)
        case _:
            return None


def _largest(schema: _Schema) -> object:
    match schema.get("type"):
        case "integer" | "number":
            below = schema.get("exclusiveMaximum")
            step = 1 if schema["type"] == "integer" else 1e-9
            return schema.get("maximum", below - step if below is not None else None)
        case "boolean":
            return True
        case "string" if "enum" not in schema and "maxLength" in schema:
            return "é" * schema["maxLength"]
        case _:
            return None


def _shown(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={value if len(str(value)) < 40 else f'{str(value)[:20]}...'}"
        for name, value in params.items()
    )


CHECKS: Final = (
    Check("smallest-parameters", "It works with the smallest values that it allows.", smallest),
    Check("largest-parameters", "It works with the largest values that it allows.", largest),
    Check("every-choice", "It works with every choice of its parameters.", choices),
)
