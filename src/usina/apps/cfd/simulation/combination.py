"""From a sweep's plan to its simulations: one for each combination of values, each checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from usina.apps.cfd.bed.plan import BedPlan, read_plan
from usina.apps.cfd.simulation.settings import Settings, SweepPlan
from usina.http_kit.problem import invalid, pointer
from usina.kernel.errors import FieldError, Invalid

MOST: Final = 256
_SETTINGS: Final = TypeAdapter(Settings)
_OF_SETTINGS: Final = frozenset({"velocity_m_s", "fluid", "mesh"})
_NOT_VARIED: Final = frozenset({"name"})


@dataclass(frozen=True, slots=True)
class Combination:
    """One simulation to be; ``places`` is where each of the values stands in its list."""

    over: Mapping[str, Any]
    places: Mapping[str, int]
    plan: BedPlan
    settings: Settings


def combinations(sweep: SweepPlan) -> list[Combination]:
    """In the order of the lists, the last varying fastest.

    Raises ``Invalid``: more than `MOST`, an unknown field, or a combination that is no bed or no
    simulation, with a pointer to the value that makes it so.
    """
    count = prod(len(values) for values in sweep.over.values())
    if not 1 <= count <= MOST:
        message = f"A sweep has 1 to {MOST} simulations; these values make {count}."
        raise Invalid.at("/over", message)
    for name, values in sweep.over.items():
        _refuse_field(name, values)
    return [
        _combination(sweep, dict(chosen)) for chosen in product(*map(_listed, sweep.over.items()))
    ]


def _listed(item: tuple[str, Sequence[Any]]) -> Iterator[tuple[str, tuple[int, Any]]]:
    name, values = item
    return ((name, choice) for choice in enumerate(values))


def _refuse_field(name: str, values: Sequence[Any]) -> None:
    first = name.partition(".")[0]
    if first in _NOT_VARIED or first not in BedPlan.model_fields.keys() | _OF_SETTINGS:
        raise Invalid.at(
            pointer(["over", name]),
            f"{name[:64]!r} is no field of a bed or of a simulation.",
            code="unknown_field",
        )
    if any(value in values[:place] for place, value in enumerate(values)):
        raise Invalid.at(pointer(["over", name]), "A value stands twice.")


def _combination(sweep: SweepPlan, chosen: Mapping[str, tuple[int, Any]]) -> Combination:
    bed: dict[str, Any] = {"name": sweep.name, **sweep.bed}
    settings = sweep.model_dump(include={"solver", "fluid", "velocity_m_s", "mesh"})
    places: dict[str, int] = {}
    for name, (place, value) in chosen.items():
        places[name] = place
        _put(settings if name.partition(".")[0] in _OF_SETTINGS else bed, name.split("."), value)
    over = {name: value for name, (_, value) in chosen.items()}
    try:
        plan = read_plan(bed)
    except Invalid as refusal:
        raise in_sweep(refusal, places, "/bed") from refusal
    try:
        wanted = _SETTINGS.validate_python(settings, strict=True)
    except ValidationError as error:
        found = invalid(error.errors(include_url=False, include_input=False))
        raise in_sweep(found, places, "") from error
    return Combination(over, places, plan, wanted)


def _put(into: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Leaves what was there before as it is, for the other combinations."""
    first, *rest = path
    if not rest:
        into[first] = value
        return
    below: Any = into.get(first)
    into[first] = dict(below) if isinstance(below, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
    _put(into[first], rest, value)


def in_sweep(refusal: Invalid, places: Mapping[str, int], otherwise: str) -> Invalid:
    """The refusal at the value that was chosen, else at its place in what stays the same."""
    moved: list[FieldError] = []
    for error in refusal.errors:
        name = error.pointer.removeprefix("/").replace("/", ".")
        at = otherwise + error.pointer
        if name in places:
            at = pointer(["over", name, places[name]])
        moved.append(FieldError(at, error.message))
    return Invalid(refusal.detail, code=refusal.code, errors=moved)
