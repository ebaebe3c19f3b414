"""Points of a caller's lines and zones, in pixels of the upright picture."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from usina.apps.vision.detection import Box
from usina_runner import InvalidInput

Point: TypeAlias = tuple[float, float]
Anchor = Literal["bottom", "center"]
"""The point of a box that counts: where it stands, or its middle."""


def anchor_of(box: Box, anchor: Anchor) -> Point:
    left, top, width, height = box
    return left + width / 2, top + (height if anchor == "bottom" else height / 2)


def point(told: Sequence[float], unit: str, size: tuple[int, int], pointer: str) -> Point:
    """In pixels; raises ``InvalidInput`` where it is not in the picture of that ``size``."""
    x, y = told
    width, height = (1, 1) if unit == "fraction" else size
    if not (0 <= x <= width and 0 <= y <= height):
        within = "0 to 1" if unit == "fraction" else f"0 to {width} and 0 to {height}"
        raise InvalidInput(
            "place_outside",
            f"{pointer}: {x:g}, {y:g} is not in the picture; {within} is, counted in {unit}s.",
        )
    return x * size[0] / width, y * size[1] / height


def name_of(told: Mapping[str, Any], kind: str, index: int) -> str:
    return str(told.get("name") or f"{kind}-{index + 1}")


def check_names(names: Sequence[str], pointer: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput("name_twice", f"{pointer}: {twice[0]!r} is there twice.")
