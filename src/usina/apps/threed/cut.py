"""Objects in front of anything, by graph cuts from a guess of where they are."""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.portrait import portrait
from usina.apps.threed.saliency import saliency
from usina.apps.threed.surround import complete, without_stand
from usina.imaging.array import Bits, Bytes, Field
from usina.imaging.opencv import (
    INSIDE,
    MAYBE_INSIDE,
    MAYBE_OUTSIDE,
    OUTSIDE,
    blur,
    components,
    dilate,
    grab_cut,
    resize,
    resize_bytes,
    to_lab,
)

_CUT_SIDE = 360
_ROUNDS, _FEW_ROUNDS = 3, 1
_REACH = 0.16
_ROOM = 0.12
_CLOSER_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Cut:
    """``agreement`` 0..1 is that of two cuts that started from a strict and a generous guess, which
    a clear object does not care about; ``stood`` says that what it stands on was left out."""

    bits: Bits
    agreement: float
    stood: bool


def by_cut(rgb: Bytes, lab: Field, rectangle: Bits | None) -> Cut | None:
    """Graph cuts from what is salient, from a face with its shoulders, or from the caller's
    rectangle, corrected by what the surroundings tell."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _CUT_SIDE / max(height, width))
    small = resize_bytes(rgb, max(1, round(width * scale)), max(1, round(height * scale)))
    box = None
    if rectangle is not None:
        box = resize(rectangle.astype(np.float64), small.shape[1], small.shape[0]) > 0.5
    person = portrait(small)
    start = _start(small, box, person)
    threshold = _otsu(start)
    strict = _cut(small, _seeds(start, threshold, box))
    if strict is None:
        return None
    agreement = _agreement(strict, _cut(small, _seeds(start, threshold / 2, box), _FEW_ROUNDS))
    large = resize(strict.astype(np.float64), width, height) > 0.5
    found = complete(_closer(rgb, large, rectangle), lab)
    alone = without_stand(found, lab) if person is None and rectangle is None else None
    return Cut(found if alone is None else alone, agreement, alone is not None)


def _agreement(strict: Bits, generous: Bits | None) -> float:
    """How much two cuts have in common, and how much of the first hangs together, in one."""
    if generous is None:
        return 0.0
    area = components(strict)[1][1:]
    unity = area.max(initial=0) / max(1, area.sum())
    return float(unity * (strict & generous).sum() / max(1, (strict | generous).sum()))


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


def _cut(rgb: Bytes, labels: Bytes, rounds: int = _ROUNDS) -> Bits | None:
    inner = np.isin(labels, (INSIDE, MAYBE_INSIDE))
    if not inner.any() or inner.all():
        return None
    return np.isin(grab_cut(rgb, labels, rounds), (INSIDE, MAYBE_INSIDE))


def _start(rgb: Bytes, box: Bits | None, person: Field | None) -> Field:
    start = saliency(to_lab(rgb))
    if person is not None:
        start = np.maximum(person, start * np.where(person > 0, 1.0, 0.4))
    if box is not None:
        start = np.where(box, np.maximum(start, 0.5), 0.0)
    return start


def _seeds(start: Field, threshold: float, box: Bits | None) -> Bytes:
    likely = start >= threshold
    labels = np.where(likely, MAYBE_INSIDE, MAYBE_OUTSIDE).astype(np.uint8)
    labels[start >= max(0.9, 1.6 * threshold)] = INSIDE
    reach = dilate(likely, round(_REACH * max(start.shape)))
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
