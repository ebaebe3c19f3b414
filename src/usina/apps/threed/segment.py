"""Three ways to tell an object from its background; each says nothing rather than guess.

All take a working picture of one fixed long side and answer ``(h, w)`` arrays of its size.
"""

import numpy as np

from usina.apps.threed.array import Bits, Bytes, Field, Indices
from usina.apps.threed.opencv import (
    INSIDE,
    MAYBE_INSIDE,
    MAYBE_OUTSIDE,
    OUTSIDE,
    blur,
    components,
    dilate,
    erode,
    grab_cut,
    resize,
    resize_bytes,
    to_lab,
)
from usina.apps.threed.portrait import portrait
from usina.apps.threed.saliency import saliency

_CUT_SIDE = 400
_ROUNDS = 6
_HOLE_SHARE = 0.004
_BAND = 3
_ROOM = 0.12
_CLOSER_SHARE = 0.5
_CLEAR_STEP = 12.0


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


def by_cut(rgb: Bytes, rectangle: Bits | None) -> tuple[Bits, float] | None:
    """Graph cuts from what is salient, from a face with its shoulders, or from the caller's
    rectangle; with the agreement 0..1 of two cuts that started from a strict and a generous
    guess, which a clear object does not care about."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _CUT_SIDE / max(height, width))
    small = resize_bytes(rgb, max(1, round(width * scale)), max(1, round(height * scale)))
    box = None
    if rectangle is not None:
        box = resize(rectangle.astype(np.float64), small.shape[1], small.shape[0]) > 0.5
    start = _start(small, box)
    threshold = _otsu(start)
    strict = _cut(small, _seeds(start, threshold, box))
    if strict is None:
        return None
    generous = _cut(small, _seeds(start, threshold / 2, box))
    agreement = 0.0
    if generous is not None:
        agreement = float((strict & generous).sum() / max(1, (strict | generous).sum()))
    large = resize(strict.astype(np.float64), width, height) > 0.5
    return _closer(rgb, large, rectangle), agreement


def _closer(rgb: Bytes, found: Bits, rectangle: Bits | None) -> Bits:
    """Cut a small object once more in an enlarged part of the picture around it."""
    labels, area = components(found)
    area[0] = 0
    largest = labels == area.argmax()
    columns, rows = np.flatnonzero(largest.any(axis=0)), np.flatnonzero(largest.any(axis=1))
    if not len(rows):
        return found
    height, width = found.shape
    margin = round(_ROOM * max(np.ptp(columns), np.ptp(rows)))
    left, right = max(0, columns[0] - margin), min(width, columns[-1] + 1 + margin)
    top, bottom = max(0, rows[0] - margin), min(height, rows[-1] + 1 + margin)
    if (right - left) * (bottom - top) > _CLOSER_SHARE * height * width:
        return found
    part = np.s_[top:bottom, left:right]
    scale = _CUT_SIDE / max(right - left, bottom - top)
    size = round((right - left) * scale), round((bottom - top) * scale)
    known = resize(blur(found[part].astype(np.float64), 2.0), *size)
    seeds = np.where(known > 0.5, MAYBE_INSIDE, MAYBE_OUTSIDE).astype(np.uint8)
    seeds[known > 0.99] = INSIDE
    seeds[~dilate(known > 0.5, round(_ROOM * _CUT_SIDE))] = OUTSIDE
    if rectangle is not None:
        seeds[resize(rectangle[part].astype(np.float64), *size) < 0.5] = OUTSIDE
    cut = _cut(resize_bytes(rgb[part], *size), seeds)
    if cut is None or not cut.any():
        return found
    closer = np.zeros_like(found)
    closer[part] = resize(cut.astype(np.float64), right - left, bottom - top) > 0.5
    return closer


def _cut(rgb: Bytes, labels: Bytes) -> Bits | None:
    inner = np.isin(labels, (INSIDE, MAYBE_INSIDE))
    if not inner.any() or inner.all():
        return None
    return np.isin(grab_cut(rgb, labels, _ROUNDS), (INSIDE, MAYBE_INSIDE))


def _frame(values: Bits | Field) -> Field:
    """The outermost pixels of a picture, in one row."""
    deep = max(2, max(values.shape[:2]) // 100)
    sides = (values[:deep], values[-deep:], values[:, :deep], values[:, -deep:])
    return np.concatenate([side.reshape(-1, *values.shape[2:]) for side in sides])


def _backdrop(lab: Field) -> tuple[Field, float] | None:
    """A quadratic surface of colour through the frame, and how far from it still is backdrop;
    None when less than 60 % of the frame follows such a surface closely."""
    height, width = lab.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    basis = np.stack(
        [np.ones_like(rows), rows, columns, rows**2, columns**2, rows * columns], axis=2
    )
    terms, colours = _frame(basis), _frame(lab)
    gap = np.sqrt(((colours - np.median(colours, axis=0)) ** 2).sum(axis=1))
    near = gap <= max(6.0, float(np.quantile(gap, 0.6)))
    for _ in range(4):
        weights, *_ = np.linalg.lstsq(terms[near], colours[near], rcond=None)
        gap = np.sqrt(((colours - terms @ weights) ** 2).sum(axis=1))
        near = gap <= max(3.0, 3 * float(np.median(gap[near])))
    noise = float(np.sqrt((gap[near] ** 2).mean()))
    if near.mean() < 0.6 or noise > 4:
        return None
    return basis @ weights, max(6.0, 4.5 * noise)


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
    return np.where(known, np.clip(share, 0, 1), inside)


def _start(rgb: Bytes, box: Bits | None) -> Field:
    start = saliency(to_lab(rgb))
    person = portrait(rgb)
    if person is not None:
        start = np.maximum(person, start * np.where(person > 0, 1.0, 0.4))
    if box is not None:
        start = np.where(box, np.maximum(start, 0.5), 0.0)
    return start


def _seeds(start: Field, threshold: float, box: Bits | None) -> Bytes:
    likely = start >= threshold
    labels = np.where(likely, MAYBE_INSIDE, MAYBE_OUTSIDE).astype(np.uint8)
    labels[start >= max(0.9, 1.6 * threshold)] = INSIDE
    reach = dilate(likely, max(start.shape) // 10)
    labels[~reach] = OUTSIDE
    edge = np.ones_like(likely)
    edge[1:-1, 1:-1] = False
    labels[edge & (start < threshold)] = OUTSIDE
    if box is not None:
        labels[~box] = OUTSIDE
    return labels


def _otsu(values: Field) -> float:
    """The threshold that best splits 0..1 values in two classes (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=64, range=(0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
        spread = np.nan_to_num(below * above * gap**2)
    return float(edges[1:][spread.argmax()])
