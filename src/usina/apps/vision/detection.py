"""One thing in one frame."""

from dataclasses import dataclass
from typing import TypeAlias

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""


@dataclass(frozen=True, slots=True)
class Detection:
    """``confidence`` is 0 to 1; ``track_id`` counts from 1, None where nothing is followed."""

    class_name: str
    confidence: float
    box: Box
    track_id: int | None = None


def scaled(box: Box, factor: float) -> Box:
    left, top, width, height = box
    return left * factor, top * factor, width * factor, height * factor
