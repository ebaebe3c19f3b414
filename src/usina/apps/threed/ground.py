"""A smooth ground of colour, fitted where it is seen, and the shadows that lie on it."""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.interpolate import grid_points
from usina.imaging.array import Bits, Field
from usina.imaging.opencv import blur, colour_gap, components, dilate, erode, to_rgb

_FITS, _MOST_ASKED = 4, 8000
_LEAST_SHARE, _MOST_NOISE = 0.6, 4.0
_LEAST_LIGHT, _MOST_TINT, _MOST_STEP = 0.13, 0.1, 2.6
"""A shadow lets through at least so much of the light, changes its colour by so much of it at
most, and changes by so many units of Lab from pixel to pixel."""

_SHADOW_BLUR = 1.2
_NOTHING = np.zeros(3)

_SOFT_STEP, _LEAST_SOFT = 1.3, 0.05
"""A shadow's own contour changes so little from pixel to pixel; how much of the contour must."""

_STRAIT = 2
"""Where an object is as light as the shadow beside it, its contour has a gap; half the width in
pixels of those that are not passed."""


@dataclass(frozen=True, slots=True)
class Ground:
    """``colour`` ``(h, w, 3)`` is what the ground looks like everywhere, in Lab, also where
    something stands before it; what is within ``tolerance`` of it is ground."""

    colour: Field
    tolerance: float


def fit_ground(lab: Field, seen: Bits) -> Ground | None:
    """A quadratic surface of colour through what is ``seen`` of the ground; None when less than
    60 % of that follows such a surface closely."""
    height, width = lab.shape[:2]
    x, y = grid_points(np.linspace(-1, 1, width), np.linspace(-1, 1, height)).T
    basis = np.column_stack([np.ones(len(x)), x, y, x**2, y**2, x * y])
    asked = np.flatnonzero(seen)
    asked = asked[:: max(1, len(asked) // _MOST_ASKED)]
    terms, colours = basis[asked], lab.reshape(-1, 3)[asked]
    if len(terms) < 10 * terms.shape[1]:
        return None
    gap = np.sqrt(((colours - np.median(colours, axis=0)) ** 2).sum(axis=1))
    near = gap <= max(6.0, float(np.quantile(gap, 0.6)))
    weights = np.zeros((terms.shape[1], 3))
    for _ in range(_FITS):
        weights = np.linalg.lstsq(terms[near], colours[near], rcond=None)[0]
        gap = np.sqrt(((colours - terms @ weights) ** 2).sum(axis=1))
        near = gap <= max(3.0, 3 * float(np.median(gap[near])))
    noise = float(np.sqrt((gap[near] ** 2).mean()))
    if near.mean() < _LEAST_SHARE or noise > _MOST_NOISE:
        return None
    return Ground((basis @ weights).reshape(height, width, 3), max(6.0, 4.5 * noise))


def find_shadow(lab: Field, ground: Ground, outside: Bits) -> Bits:
    """What hangs together with the ``outside`` and is ground in a soft shadow: darker than the
    ground but of its colour, and without any edge on the way there. An object of the ground's
    colour keeps its place because its contour is an edge."""
    smooth = blur(lab, _SHADOW_BLUR)
    light, plain = _linear(smooth), _linear(ground.colour)
    through = light / np.maximum(plain, 1e-3)
    level = through.mean(axis=2)
    tint = np.abs(through - level[..., None]).max(axis=2) / np.maximum(level, 1e-3)
    down, right = np.gradient(smooth, axis=0), np.gradient(smooth, axis=1)
    step = np.hypot(colour_gap(down, _NOTHING), colour_gap(right, _NOTHING))
    beside = dilate(outside, 1) & ~outside
    if (step[beside] < _SOFT_STEP).sum() <= _LEAST_SOFT * beside.sum():
        return np.zeros_like(outside)
    likely = (step < _MOST_STEP) & (level > _LEAST_LIGHT) & (level < 1.05) & (tint < _MOST_TINT)
    open_ground = likely | outside
    labels, _ = components(erode(open_ground, _STRAIT))
    reached = np.unique(labels[outside])
    return dilate(np.isin(labels, reached[reached > 0]), _STRAIT + 1) & open_ground & ~outside


def _linear(lab: Field) -> Field:
    """Linear RGB of Lab colours."""
    return to_rgb(lab) ** 2.2
