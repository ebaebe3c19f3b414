"""The lengths of an object: what is said, and what follows for the rest."""

from dataclasses import dataclass, field
from math import exp, log
from typing import Any

from usina.apps.threed.parametric.body import Body
from usina.apps.threed.parametric.lexicon import LENGTHS
from usina.apps.threed.parametric.measure import Impossible, Length
from usina.apps.threed.parametric.refusal import conflict, not_applicable, out_of_range, unclear
from usina.apps.threed.parametric.thing import Parameter, Thing

_MINOR = {"wall", "wire", "bore", "thickness", "module"}
"""Lengths that say nothing about how large the whole is."""

_TRIES = 6

Unit = tuple[str, float]


@dataclass(frozen=True, slots=True)
class Given:
    """A length in metres as the caller said it, and the unit to answer in."""

    metres: float
    unit: Unit
    said: str


@dataclass(slots=True)
class Sizing:
    """Gathers what is said about the lengths of one object."""

    thing: Thing
    given: dict[str, Given] = field(default_factory=dict[str, Given])
    stretched: dict[str, tuple[str, float]] = field(default_factory=dict[str, tuple[str, float]])
    scaled: tuple[str, float] | None = None

    def give(self, dimension: str | None, given: Given) -> None:
        """``dimension`` is a key of `LENGTHS`; none is the object's main length."""
        if dimension is None:
            self._set(self._main(given.said).name, given)
            return
        if dimension == "radius":
            given = Given(2 * given.metres, given.unit, given.said)
        self._set(self._named(dimension, given.said), given)

    def give_product(self, sides: list[Given], said: str) -> None:
        """Lengths in the order of the object: width, depth, height; diameter, length."""
        names = self.thing.product
        if len(sides) != len(names):
            order = " x ".join(names) if len(names) > 1 else "one length only"
            raise unclear(f"'{said}' does not fit a {self.thing.name}: it takes {order}.")
        for name, side in zip(names, sides, strict=True):
            self._set(name, side)

    def stretch(self, dimension: str, factor: float, said: str) -> None:
        self._refuse_fixed(said)
        name = self._named(dimension, said)
        if name in self.stretched:
            raise conflict(f"the {_spoken(name)}", [self.stretched[name][0], said])
        self.stretched[name] = (said, factor)

    def scale(self, factor: float, said: str) -> None:
        self._refuse_fixed(said)
        if self.scaled:
            raise conflict("the size", [self.scaled[0], said])
        self.scaled = (said, factor)

    def lengths(self) -> dict[str, float]:
        """Every length in metres, within its bounds. Raises `InvalidInput` where two things are
        said about one, or one is out of bounds."""
        self._refuse_conflicts()
        ratio = self.scaled[1] if self.scaled else self._ratio()
        found: dict[str, float] = {}
        for each in self.thing.lengths:
            if each.name in self.given:
                found[each.name] = self._checked(each, self.given[each.name])
            elif each.default is not None:
                factor = self.stretched.get(each.name, ("", 1.0))[1]
                found[each.name] = _clamped(each.default * ratio * factor, each.bound)
        return found

    def build(self, others: dict[str, Any]) -> tuple[Body, dict[str, float]]:
        """The body, and its lengths: those that nobody gave make room for those that were."""
        lengths = self.lengths()
        for _ in range(_TRIES):
            try:
                return self.thing.build(**lengths, **others), lengths
            except Impossible as limit:
                given = self.given.get(limit.length)
                if given or limit.low > limit.high:
                    raise self._impossible(limit) from None
                value = lengths.get(limit.length, limit.low)
                lengths[limit.length] = min(max(value, limit.low), limit.high)
        raise unclear(f"These sizes do not fit together for a {self.thing.name}.")

    def _set(self, name: str, given: Given) -> None:
        if name in self.given:
            raise conflict(f"the {_spoken(name)}", [self.given[name].said, given.said])
        self.given[name] = given

    def _main(self, said: str) -> Parameter:
        lengths = self.thing.lengths
        if not lengths:
            raise not_applicable(self.thing.name, said, self.thing.takes())
        major = [each for each in lengths if each.name not in _MINOR]
        if not major or (self.thing.scaling != "whole" and len(major) > 1):
            raise unclear(f"'{said}' of what? It takes {self.thing.takes()}.")
        return major[0]

    def _named(self, dimension: str, said: str) -> str:
        for name in LENGTHS[dimension]:
            if self.thing.parameter(name):
                return name
        raise not_applicable(self.thing.name, said, self.thing.takes())

    def _refuse_fixed(self, said: str) -> None:
        if self.thing.scaling == "fixed":
            raise not_applicable(self.thing.name, said, self.thing.takes())

    def _refuse_conflicts(self) -> None:
        major = [given.said for name, given in self.given.items() if name not in _MINOR]
        if self.scaled and major:
            raise conflict("the size", [self.scaled[0], major[0]])
        for name, (said, _) in self.stretched.items():
            if name in self.given:
                raise conflict(f"the {_spoken(name)}", [said, self.given[name].said])

    def _ratio(self) -> float:
        """How much larger the whole is than usual, by the lengths that are given."""
        if self.thing.scaling != "whole":
            return 1.0
        logs = [
            log(max(self.given[each.name].metres, 1e-9) / each.default)
            for each in self.thing.lengths
            if each.name in self.given and each.name not in _MINOR
        ]
        return exp(sum(logs) / len(logs)) if logs else 1.0

    def _checked(self, parameter: Parameter, given: Given) -> float:
        bound = parameter.bound
        assert isinstance(bound, Length)
        if not bound.low * (1 - 1e-9) <= given.metres <= bound.high * (1 + 1e-9):
            raise self._refusal(parameter.name, given, bound.low, bound.high)
        return given.metres

    def _impossible(self, limit: Impossible) -> Exception:
        given = self.given.get(limit.length) or next(iter(self.given.values()), None)
        if given is None or limit.low > limit.high:
            return unclear(f"These sizes do not fit together for a {self.thing.name}.")
        return self._refusal(limit.length, given, limit.low, limit.high)

    def _refusal(self, name: str, given: Given, low: float, high: float) -> Exception:
        word, metres = given.unit
        allowed = f"{_figure(low / metres)} to {_figure(high / metres)} {word}"
        return out_of_range(
            f"the {_spoken(name)} of a {self.thing.name}", f"'{given.said}'", allowed
        )


def _clamped(value: float, bound: object) -> float:
    assert isinstance(bound, Length)
    return min(max(value, bound.low), bound.high)


def _figure(value: float) -> str:
    """To four digits: 10000, 1.181."""
    return f"{float(f'{value:.4g}'):g}"


def _spoken(name: str) -> str:
    return name.replace("_", " ")
