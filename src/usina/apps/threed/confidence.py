"""How far a mask that nobody drew may be trusted, from what can be measured on it."""

import math

import numpy as np

from usina.imaging.array import Bits, Field
from usina.imaging.opencv import blur, dilate, erode

_REACH = 3.0
"""How far on either side of the contour colours are compared, in pixels."""

_CELLS = 10
_LOWEST, _HIGHEST = np.array([0.0, -60, -60]), np.array([100.0, 60, 60])


def confidence(inside: Bits, lab: Field, *, agreement: float, unity: float) -> float:
    """0 to 1, pulled down by the worst of: how sharp the contour is, how unlike the object's
    colours are to those around it, how well the cut kept to what it was started from
    (``agreement``), how much of what was found hangs together (``unity``), and how plausible its
    size and its share of the picture's frame are."""
    scores = (
        _ramp(unity, 0.1, 0.9),
        _ramp(_contour_step(inside, lab), 2, 16),
        _ramp(1 - _overlap(inside, lab), 0.05, 0.6),
        _ramp(agreement, 0.35, 0.8),
        min(_ramp(float(inside.mean()), 0, 0.02), _ramp(1 - float(inside.mean()), 0.02, 0.15)),
        _ramp(1 - frame_share(inside), 0.2, 0.75),
    )
    mean = float(np.prod(np.maximum(scores, 1e-3)) ** (1 / len(scores)))
    return math.sqrt(mean * min(scores))


def frame_share(inside: Bits) -> float:
    """Which share of the picture's outermost pixels belongs to the object."""
    frame = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    return float(frame.mean())


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _contour_step(inside: Bits, lab: Field) -> float:
    """The colour difference across the contour that 60 % of its length exceeds."""
    height, width = inside.shape
    slope = np.gradient(blur(inside.astype(np.float64), 2.0))
    rows, columns = np.nonzero(inside & ~erode(inside, 1))
    down, right = slope[0][rows, columns], slope[1][rows, columns]
    length = np.maximum(np.hypot(down, right), 1e-9)
    smooth = blur(lab, 1.0)
    sides: list[Field] = []
    for sign in (_REACH, -_REACH):
        at_row = np.clip(np.rint(rows + sign * down / length), 0, height - 1).astype(np.int64)
        at_column = np.clip(np.rint(columns + sign * right / length), 0, width - 1).astype(np.int64)
        sides.append(smooth[at_row, at_column])
    if not len(rows):
        return 0.0
    return float(np.quantile(np.sqrt(((sides[0] - sides[1]) ** 2).sum(axis=1)), 0.4))


def _overlap(inside: Bits, lab: Field) -> float:
    """How alike the colours of the object and of its surroundings are: the Bhattacharyya
    coefficient of their histograms."""
    around = dilate(inside, max(6, max(inside.shape) // 12)) & ~dilate(inside, 2)
    if not around.any():
        return 1.0
    return float(np.sqrt(_histogram(lab[inside]) * _histogram(lab[around])).sum())


def _histogram(colours: Field) -> Field:
    """Shares of the cells of a grid of ten to a side over Lab."""
    cell = ((colours - _LOWEST) / (_HIGHEST - _LOWEST) * _CELLS).astype(np.int64)
    flat = np.clip(cell, 0, _CELLS - 1) @ np.array([1, _CELLS, _CELLS**2])
    return np.bincount(flat, minlength=_CELLS**3) / max(1, len(colours))
