"""The parameters of the room's models, as their `runner.toml` declares them."""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from usina_runner import InvalidInput

Back = Literal["mirror", "plain"]
Subject = Literal["auto", "picture", "object"]
Unit = Literal["mm", "cm", "m", "in"]

METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254}
"""How long each unit is."""

SIZE_LEAST_M, SIZE_MOST_M = 0.001, 100.0


@dataclass(frozen=True, slots=True)
class Common:
    """What both models take; ``rectangle`` is left, top, width and height in pixels, ``size`` the
    length of the longest side in the ``unit``."""

    rectangle: tuple[int, int, int, int] | None = None
    texture_size: int = 1024
    target_faces: int = 20_000
    size: float = 100.0
    unit: Unit = "mm"

    @property
    def size_m(self) -> float:
        return to_metres(self.size, self.unit)


@dataclass(frozen=True, slots=True)
class InflateOption(Common):
    depth: float = 0.5
    back: Back = "mirror"


@dataclass(frozen=True, slots=True)
class ReliefOption(Common):
    subject: Subject = "auto"
    depth: float = 0.05
    base: float = 0.02
    frame: float = 0.03
    detail: float = 0.45
    smoothing: float = 0.25
    invert: bool = False


Option = TypeVar("Option", bound=Common)


def read_option(kind: type[Option], params: dict[str, Any]) -> Option:
    """The options out of a job's parameters, which its schema has checked already but for the
    size, whose limits depend on its unit: `InvalidInput` ``size_out_of_range``."""
    rectangle = params.get("rectangle")
    named: dict[str, Any] = {**params, "rectangle": tuple(rectangle) if rectangle else None}
    option = kind(**named)
    to_metres(option.size, option.unit)
    return option


def to_metres(size: float, unit: Unit) -> float:
    """A size that a caller chose, in metres."""
    metres = size * METRES[unit]
    if not SIZE_LEAST_M * (1 - 1e-9) <= metres <= SIZE_MOST_M * (1 + 1e-9):
        raise InvalidInput(
            "size_out_of_range",
            f"A size of {size:g} {unit} is {metres:g} m; from {SIZE_LEAST_M:g} m to "
            f"{SIZE_MOST_M:g} m can be made. Is the unit meant?",
        )
    return metres
