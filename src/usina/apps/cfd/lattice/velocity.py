"""The nineteen velocities of the lattice, D3Q19 (Qian, d'Humieres and Lallemand 1992).

Number 0 rests. Behind it lie nine pairs of opposites: an odd number and the next even one.
"""

from typing import Final

import numpy as np

from usina.imaging.array import Field, Indices

COUNT: Final = 19
PAIRS: Final = 9

_AHEAD: Final = (
    *((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    *((1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)),
)

AHEAD: Final[Field] = np.array(_AHEAD, dtype=np.float64)
"""``(9, 3)``: the first of each pair, as x, y, z."""

STEPS: Final[Indices] = np.concatenate(
    [[[0, 0, 0]], np.stack([np.array(_AHEAD), -np.array(_AHEAD)], axis=1).reshape(-1, 3)]
).astype(np.int64)
"""``(19, 3)``: where each velocity leads in one step, as x, y, z."""

PAIR_WEIGHTS: Final[Field] = np.array([1 / 18] * 3 + [1 / 36] * 6)
"""``(9,)``: of either velocity of a pair; that of rest is 1/3."""


def opposite(number: int) -> int:
    """The velocity that leads back."""
    if number == 0:
        return 0
    return number + 1 if number % 2 else number - 1


def mirrored(number: int) -> int:
    """The velocity that leads as far, but the other way along z."""
    x, y, z = STEPS[number]
    [found] = np.flatnonzero((np.array([x, y, -z]) == STEPS).all(axis=1))
    return int(found)
