"""Objects on nothing or on a plain backdrop; where there is neither, nothing is said."""

import numpy as np

from usina.apps.threed.ground import find_shadow, fit_ground
from usina.imaging.array import Anything, Bits, Bytes, Field, Indices
from usina.imaging.opencv import blur, colour_gap, components, dilate, erode, opened

_HOLE_SHARE = 0.004
_BAND = 3
_CLEAR_STEP = 12.0
_LEAST_LEFT = 0.25


def by_alpha(alpha: Bytes) -> Field | None:
    """The opacity 0..1 when it is truly a mask: nearly all of it fully on or fully off, both
    there, and the picture's frame mostly off."""
    opaque, clear = alpha > 239, alpha < 16
    if min(opaque.mean(), clear.mean()) < 0.005 or (opaque | clear).mean() < 0.8:
        return None
    if _frame(clear).mean() < 0.3:
        return None
    return alpha.astype(np.float64) / 255


def by_border(lab: Field) -> tuple[Field, float] | None:
    """What differs from a plain backdrop, its contour between pixels: the frame's colour is
    fitted as a smooth surface, and what hangs together with the frame and has it, also in a soft
    shadow, is outside. With how sure it is, 0..1, that no shadow was taken for the object."""
    ground = fit_ground(lab, _rim(lab.shape[:2]))
    if ground is None:
        return None
    gap = colour_gap(lab, ground.colour)
    alike = gap < ground.tolerance
    labels, _ = components(alike)
    edge = np.unique(_frame(np.where(alike, labels, 0)))
    outside = np.isin(labels, edge[edge > 0])
    inside = ~outside
    inside &= ~_holes(labels, inside, gap, ground.tolerance)
    inside, sure = _without_shadow(inside, find_shadow(lab, ground, outside))
    return (_matte(inside, lab, ground.colour), sure) if 0.002 < inside.mean() < 0.97 else None


def _without_shadow(inside: Bits, shadow: Bits) -> tuple[Bits, float]:
    """The object without a shadow, and without the thin line between both. What would leave next
    to nothing of it is partly its own shade: then it stays, in doubt."""
    if not shadow.any():
        return inside, 1.0
    rest = opened(inside & ~shadow, 2)
    left = float(rest.sum() / inside.sum())
    if left < _LEAST_LEFT:
        return inside, left
    return rest | (inside & ~dilate(shadow, _BAND)), 1.0


def _rim(shape: tuple[int, ...]) -> Bits:
    """The outermost pixels of a picture."""
    rim = np.ones(shape, dtype=np.bool_)
    deep = _depth(shape)
    rim[deep:-deep, deep:-deep] = False
    return rim


def _depth(shape: tuple[int, ...]) -> int:
    return max(2, max(shape[:2]) // 100)


def _frame(values: Anything) -> Anything:
    """The outermost pixels of a picture, in one row."""
    deep = _depth(values.shape)
    sides = (values[:deep], values[-deep:], values[:, :deep], values[:, -deep:])
    return np.concatenate([side.reshape(-1, *values.shape[2:]) for side in sides])


def _holes(labels: Indices, inside: Bits, gap: Field, tolerance: float) -> Bits:
    """Patches of backdrop seen through the object: large enough, and as plain as the backdrop;
    a highlight or the white of an eye is neither."""
    hidden = np.where(inside, labels, 0).ravel()
    area = np.bincount(hidden)
    mean_gap = np.bincount(hidden, gap.ravel()) / np.maximum(area, 1)
    through = (area > _HOLE_SHARE * inside.sum()) & (mean_gap < tolerance / 2)
    through[0] = False
    return through[hidden].reshape(inside.shape)


def _matte(inside: Bits, lab: Field, plain: Field) -> Field:
    """How much of each pixel along the contour is object: its place on the line between the
    colours a few pixels further out, or that of the ``plain`` ground, and further in."""
    outer, inner = ~dilate(inside, _BAND), erode(inside, _BAND)
    beside, outer_weight = _mean_near(lab, outer)
    beside = np.where((outer_weight > 1e-3)[..., None], beside, plain)
    own, inner_weight = _mean_near(lab, inner)
    line = own - beside
    length = np.einsum("ijk,ijk->ij", line, line)
    share = np.einsum("ijk,ijk->ij", lab - beside, line) / np.maximum(length, 1e-9)
    known = ~outer & ~inner & (inner_weight > 1e-3)
    known &= length > _CLEAR_STEP**2
    return np.where(known, np.clip(share, 0, 1), inside.astype(np.float64))


def _mean_near(lab: Field, bits: Bits) -> tuple[Field, Field]:
    """The mean colour of those pixels around every pixel, and how many there are, 0 to 1."""
    weight = blur(bits.astype(np.float64), 2 * _BAND)
    mean = blur(lab * bits[..., None], 2 * _BAND) / np.maximum(weight, 1e-9)[..., None]
    return mean, weight
