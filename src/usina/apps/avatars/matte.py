"""The person cut out of the square: graph cuts from what a face tells of a body, then soft edges.

GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004) starts from the geometry of head, neck and
shoulders. A guided filter (He, Sun and Tang, ECCV 2010) brings the edge to the picture's own; the
colours along it are freed of the background by blurs of both sides (Forte, ICIP 2021).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from usina.apps.avatars.eye import Box
from usina.apps.avatars.frame import Frame
from usina.imaging.array import Bits, Bytes, Field, Field32
from usina.imaging.opencv import (
    INSIDE,
    MAYBE_INSIDE,
    MAYBE_OUTSIDE,
    OUTSIDE,
    blur,
    colour_gap,
    components,
    dilate,
    erode,
    grab_cut,
    opened,
    palette,
    shrink_bytes,
    to_lab,
)

DOUBTFUL = 0.6
"""The confidence below which a cut is not shown: the background stays, out of focus."""

_SIDE = 256
_ROUNDS = 4
_COLOURS = 8
_VISIBLE = 6.0
_GAP = 0.004


@dataclass(frozen=True, slots=True)
class Matte:
    """``alpha`` ``(s, s)`` is 1 on the person and 0 beside; ``person`` ``(s, s, 3)`` are the
    person's own colours, also where the background shines through; ``confidence`` is 0 to 1."""

    alpha: Field32
    person: Bytes
    confidence: float

    @property
    def doubtful(self) -> bool:
        return self.confidence < DOUBTFUL


def cut_out(frame: Frame) -> Matte:
    """The person of the square; without a face nobody, and a confidence of 0."""
    size = frame.size
    if frame.face is None:
        return Matte(np.zeros((size, size), np.float32), frame.rgb, 0.0)
    small = shrink_bytes(frame.rgb, _SIDE, _SIDE)
    left, top, width, height = (value * _SIDE / size for value in frame.face)
    box = left, top, width, height
    photo = cv2.resize(frame.inside, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) > 0.5
    lab = to_lab(cv2.GaussianBlur(small, (0, 0), 1.0).astype(np.uint8, copy=False))
    cuts = [
        _grown(small, _labels(lab, box, photo, generous=generous), box)
        for generous in (False, True)
    ]
    inside, confidence = _better(lab, cuts, box)
    alpha = _soft(frame.rgb, inside)
    return Matte(alpha, _person(frame.rgb, alpha), confidence)


def _grid() -> tuple[Field32, Field32]:
    rows, columns = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32)
    return columns + 0.5, rows + 0.5


def _ellipse(box: Box, down: float, wide: float, high: float) -> Bits:
    """Around the middle of the face, moved ``down``; all in heights of the face."""
    x, y = _grid()
    left, top, width, height = box
    across = (x - (left + width / 2)) / height
    along = (y - (top + height / 2)) / height - down
    return (across / wide) ** 2 + (along / high) ** 2 < 1


def _below(box: Box, start: float, wide: float, slope: float, widest: float) -> Bits:
    """A trunk that begins ``start`` faces below the middle of one and gets wider."""
    x, y = _grid()
    left, top, width, height = box
    across = np.abs(x - (left + width / 2)) / height
    along = (y - (top + height / 2)) / height - start
    return (along > 0) & (across < np.minimum(wide + slope * along, widest))


def _core(box: Box) -> Bits:
    """What is the person whatever the colours say: the face, the neck, the middle of the chest."""
    return _skull(box) | _below(box, 0.3, 0.2, 0.25, 0.6)


def _skull(box: Box) -> Bits:
    """A head without its hair."""
    return _ellipse(box, -0.06, 0.37, 0.52)


def _crown(box: Box) -> Bits:
    """Where the hair begins, if there is any."""
    return _skull(box) & ~_ellipse(box, 0.12, 0.6, 0.52)


def _labels(lab: Field, box: Box, photo: Bits, *, generous: bool) -> Bytes:
    """Where a cut begins; the generous one expects tall hair and wide shoulders. What is near the
    head, coloured as its crown is and as the background is not, is likely hair, however far it
    stands out."""
    more = 1.22 if generous else 1.0
    labels = np.full((_SIDE, _SIDE), OUTSIDE, np.uint8)
    near = _ellipse(box, -0.08, 0.82 * more, 0.98 * more)
    near |= _below(box, 0.35, 0.75 * more, 2.2, 3.0)
    labels[near & photo] = MAYBE_OUTSIDE
    hair = _ellipse(box, -0.08, 0.72 * more, 0.88 * more)
    hair &= _unlike(lab, ~near & photo) & ~_unlike(lab, _crown(box) & photo)
    likely = _ellipse(box, -0.12, 0.5, 0.68) | hair
    likely |= _below(box, 0.62, 0.4 * more, 1.5, 1.15 * more)
    labels[likely & photo] = MAYBE_INSIDE
    labels[_core(box)] = INSIDE
    return labels


def _unlike(lab: Field, behind: Bits) -> Bits:
    """What has none of the colours of the background, as far as that is known."""
    known = lab[behind].astype(np.float32)
    if len(known) < 4 * _COLOURS:
        return np.zeros(behind.shape, np.bool_)
    colours, spread = palette(known[::3], _COLOURS)
    away = [
        np.linalg.norm(lab - colour, axis=2) - 2 * reach
        for colour, reach in zip(colours, spread, strict=True)
    ]
    return np.min(away, axis=0) > _VISIBLE


def _grown(small: Bytes, labels: Bytes, box: Box) -> Bits:
    """The cut, in one piece that holds the face and without holes."""
    cut = grab_cut(small, labels, _ROUNDS)
    person = opened((cut == INSIDE) | (cut == MAYBE_INSIDE), 2) | _core(box)
    pieces, _ = components(person)
    x, y = (round(middle) for middle in (box[0] + box[2] / 2, box[1] + box[3] / 2))
    mine = pieces == pieces[min(max(y, 0), _SIDE - 1), min(max(x, 0), _SIDE - 1)]
    gaps, areas = components(~mine)
    small_gaps = areas < _GAP * _SIDE * _SIDE
    small_gaps[0] = False
    return mine | small_gaps[gaps]


def _soft(rgb: Bytes, inside: Bits) -> Field32:
    """The cut at the picture's size: soft where the picture is, as on hair, else sharp."""
    size = rgb.shape[0]
    rough = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.2)
    rough = cv2.resize(rough, (size, size), interpolation=cv2.INTER_CUBIC)
    guide = rgb.astype(np.float32) / 255
    radius = max(2, size // 56)
    fine = cv2.ximgproc.guidedFilter(guide, rough.astype(np.float32), radius, 2e-4)
    steep = np.clip((fine - 0.5) * 1.35 + 0.47, 0, 1)
    return (steep * steep * (3 - 2 * steep)).astype(np.float32)


def _person(rgb: Bytes, alpha: Field32) -> Bytes:
    """The colours of the person alone."""
    picture, cover = rgb.astype(np.float32), alpha[..., None]
    radius = max(3, rgb.shape[0] // 40) | 1
    for side in (3 * radius, radius):
        weight = cv2.blur(alpha, (side, side))[..., None] + 1e-5
        person = cv2.blur(picture * cover, (side, side)) / weight
        behind = cv2.blur(picture * (1 - cover), (side, side)) / (1 - weight + 2e-5)
        fitted = person + cover * (picture - cover * person - (1 - cover) * behind)
    return np.clip(np.where(cover > 0.97, picture, fitted) + 0.5, 0, 255).astype(np.uint8)


def _better(lab: Field, cuts: Sequence[Bits], box: Box) -> tuple[Bits, float]:
    """The cut whose contour parts the colours best, and how far it can be trusted: whether both
    agree or one is clearly better, how the colours differ across it, and whether it has a head's
    size and all of a skull."""
    head = _ellipse(box, -0.1, 1.1, 1.0)
    gaps = [_gap_along(lab, cut, head) for cut in cuts]
    best = int(np.argmax(gaps))
    inside = cuts[best] | _core(box)
    common = np.logical_and.reduce(cuts)[head].sum() / max(
        1, np.logical_or.reduce(cuts)[head].sum()
    )
    agreement = _share(common, 0.72, 0.96)
    lead = _share(max(gaps) - min(gaps), 2.0, 7.0)
    area = (inside & head).sum() / (box[3] * box[3])
    plausible = _share(area, 0.62, 0.82) * _share(-area, -2.9, -2.4)
    skull = _ellipse(box, -0.1, 0.42, 0.62)
    whole = _share((inside & skull).sum() / skull.sum(), 0.88, 0.96)
    free = _share(-inside[:3].mean(), -0.83, -0.17)
    clear = math.sqrt(max(agreement, lead) * _share(gaps[best], 5.0, 18.0))
    return inside, round(clear * plausible * whole * free, 4)


def _share(value: float, low: float, high: float) -> float:
    """0 at ``low`` and below, 1 at ``high`` and above."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))


def _gap_along(lab: Field, inside: Bits, head: Bits) -> float:
    """How different the colours are across the contour of the head: the median visible
    difference (CIE76) between both sides, a few pixels apart."""
    inner, outer = inside & ~erode(inside, 3), dilate(inside, 3) & ~inside
    one, other = (_mean_along(lab, band) for band in (inner, outer))
    contour = (inner | outer) & head
    if not contour.any():
        return 0.0
    return float(np.percentile(colour_gap(one, other)[contour], 35))


def _mean_along(lab: Field, band: Bits) -> Field:
    """The colour of the band near each pixel."""
    part = band.astype(np.float64)[..., None]
    weight = blur(np.repeat(part, 3, axis=2), 3)
    return blur(lab * part, 3) / np.maximum(weight, 1e-3)
