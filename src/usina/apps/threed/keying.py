"""Objects on nothing or on a plain backdrop; where there is neither, nothing is said."""

import numpy as np

from usina.apps.threed.array import Anything, Bits, Bytes, Field, Indices
from usina.apps.threed.interpolate import grid_points
from usina.apps.threed.opencv import blur, components, dilate, erode

_HOLE_SHARE = 0.004
_BAND = 3
_CLEAR_STEP = 12.0
_FITS = 4
_LEAST_PLAIN, _MOST_NOISE = 0.6, 4.0


def by_alpha(alpha: Bytes) -> Field | None:
    """The opacity 0..1 when it is truly a mask: nearly all of it fully on or fully off, both
    there, and the picture's frame mostly off."""
    opaque, clear = alpha > 239, alpha < 16
    if min(opaque.mean(), clear.mean()) < 0.005 or (opaque | clear).mean() < 0.8:
        return None
    if _frame(clear).mean() < 0.3:
        return None
    return alpha.astype(np.float64) / 255


def by_border(lab: Field) -> Field | None:
    """What differs from a plain backdrop, its contour between pixels: the frame's colour is
    fitted as a smooth surface, and what hangs together with the frame and has it is outside."""
    backdrop = _backdrop(lab)
    if backdrop is None:
        return None
    surface, tolerance = backdrop
    gap = np.sqrt(((lab - surface) ** 2).sum(axis=2))
    alike = gap < tolerance
    labels, _ = components(alike)
    outside = np.unique(_frame(np.where(alike, labels, 0)))
    inside = ~(np.isin(labels, outside[outside > 0]))
    inside &= ~_holes(labels, inside, gap, tolerance)
    return _matte(inside, lab, surface) if 0.002 < inside.mean() < 0.97 else None


def _frame(values: Anything) -> Anything:
    """The outermost pixels of a picture, in one row."""
    deep = max(2, max(values.shape[:2]) // 100)
    sides = (values[:deep], values[-deep:], values[:, :deep], values[:, -deep:])
    return np.concatenate([side.reshape(-1, *values.shape[2:]) for side in sides])


def _backdrop(lab: Field) -> tuple[Field, float] | None:
    """A quadratic surface of colour through the frame, and how far from it still is backdrop;
    None when less than 60 % of the frame follows such a surface closely."""
    height, width = lab.shape[:2]
    x, y = grid_points(np.linspace(-1, 1, width), np.linspace(-1, 1, height)).T
    basis = np.column_stack([np.ones(len(x)), x, y, x**2, y**2, x * y])
    terms, colours = _frame(basis.reshape(height, width, -1)), _frame(lab)
    gap = np.sqrt(((colours - np.median(colours, axis=0)) ** 2).sum(axis=1))
    near = gap <= max(6.0, float(np.quantile(gap, 0.6)))
    weights = np.zeros((terms.shape[1], 3))
    for _ in range(_FITS):
        weights = np.linalg.lstsq(terms[near], colours[near], rcond=None)[0]
        gap = np.sqrt(((colours - terms @ weights) ** 2).sum(axis=1))
        near = gap <= max(3.0, 3 * float(np.median(gap[near])))
    noise = float(np.sqrt((gap[near] ** 2).mean()))
    if near.mean() < _LEAST_PLAIN or noise > _MOST_NOISE:
        return None
    return (basis @ weights).reshape(height, width, 3), max(6.0, 4.5 * noise)


def _holes(labels: Indices, inside: Bits, gap: Field, tolerance: float) -> Bits:
    """Patches of backdrop seen through the object: large enough, and as plain as the backdrop;
    a highlight or the white of an eye is neither."""
    hidden = np.where(inside, labels, 0).ravel()
    area = np.bincount(hidden)
    mean_gap = np.bincount(hidden, gap.ravel()) / np.maximum(area, 1)
    through = (area > _HOLE_SHARE * inside.sum()) & (mean_gap < tolerance / 2)
    through[0] = False
    return through[hidden].reshape(inside.shape)


def _matte(inside: Bits, lab: Field, surface: Field) -> Field:
    """How much of each pixel along the contour is object: its place on the line from the
    backdrop's colour to that of the object a few pixels further in."""
    band = dilate(inside, _BAND) & ~erode(inside, _BAND)
    core = erode(inside, _BAND).astype(np.float64)
    weight = blur(core, 2 * _BAND)
    own = blur(lab * core[..., None], 2 * _BAND) / np.maximum(weight, 1e-9)[..., None]
    line = own - surface
    share = ((lab - surface) * line).sum(axis=2) / np.maximum((line**2).sum(axis=2), 1e-9)
    known = band & (weight > 1e-3) & ((line**2).sum(axis=2) > _CLEAR_STEP**2)
    return np.where(known, np.clip(share, 0, 1), inside.astype(np.float64))
