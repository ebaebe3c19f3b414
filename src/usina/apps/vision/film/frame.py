"""One picture of a film."""

from dataclasses import dataclass

from usina.imaging.array import Bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """``number`` counts from 0 in the file, ``seconds`` from its first frame; ``rgb`` is upright,
    ``(height, width, 3)``."""

    number: int
    seconds: float
    rgb: Bytes
