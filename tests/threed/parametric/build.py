"""Arguments for the catalogue's functions, drawn from the bounds that they declare."""

from typing import Any

from hypothesis import strategies as st

from usina.apps.threed.parametric.body import Body, solid_of
from usina.apps.threed.parametric.catalogue import BY_NAME
from usina.apps.threed.parametric.fastener import METRIC
from usina.apps.threed.parametric.measure import (
    Chance,
    Choice,
    Count,
    Impossible,
    Length,
    Size,
    Words,
)
from usina.apps.threed.parametric.solid import box_of
from usina.apps.threed.parametric.thing import Parameter, Thing

TRIES = 8


def arguments(thing: Thing) -> st.SearchStrategy[dict[str, Any]]:
    """Any values within the bounds, lengths evenly over their magnitudes."""
    return st.fixed_dictionaries({each.name: _values(each) for each in thing.parameters})


def _values(parameter: Parameter) -> st.SearchStrategy[Any]:
    match parameter.bound:
        case Length(low, high):
            spread = high / low
            return st.floats(0, 1).map(lambda share: low * spread**share)
        case Count(low, high):
            return st.integers(low, high)
        case Choice():
            return st.booleans()
        case Size():
            return st.sampled_from(sorted(METRIC))
        case Words(most):
            letters = "ABCXYZabcijqz0123456789 !?&-ãõçéíÀüñ"
            return st.text(letters, min_size=1, max_size=most).filter(str.strip)
        case Chance():
            return st.integers(0, 2**32 - 1)


def built(thing: Thing, given: dict[str, Any]) -> tuple[Body, dict[str, Any]]:
    """The body, and the arguments after lengths that do not fit together made room."""
    given = dict(given)
    for _ in range(TRIES):
        try:
            return thing.build(**given), given
        except Impossible as raised:
            limit = raised
        assert limit.low <= limit.high, (thing.name, given, limit.length)
        value = given[limit.length] or limit.low
        given[limit.length] = min(max(value, limit.low), limit.high)
    raise AssertionError(f"{thing.name}: {given} never fit")


def extent(name: str, **given: Any) -> list[float]:
    """How large it is along x, y and z."""
    thing = BY_NAME[name]
    low, high = box_of(solid_of(thing.build(**thing.given, **given)))
    return (high - low).tolist()


def volume(name: str, **given: Any) -> float:
    thing = BY_NAME[name]
    return solid_of(thing.build(**thing.given, **given)).volume()
