"""The parameters of the room's models, as their `runner.toml` declares them."""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Back = Literal["mirror", "plain"]
Subject = Literal["auto", "picture", "object"]


@dataclass(frozen=True, slots=True)
class Common:
    """What both models take; ``rectangle`` is left, top, width and height in pixels."""

    rectangle: tuple[int, int, int, int] | None = None
    texture_size: int = 1024
    target_faces: int = 20_000
    size_m: float = 0.1


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
    """The options out of a job's parameters, which its schema has checked already."""
    rectangle = params.get("rectangle")
    named: dict[str, Any] = {**params, "rectangle": tuple(rectangle) if rectangle else None}
    return kind(**named)
