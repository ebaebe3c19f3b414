"""The OpenCV calls that rooms share, with their array types stated."""

from typing import cast

import cv2
import numpy as np

from usina.imaging.array import Bits, Bytes, Field, Field32, Indices

OUTSIDE, INSIDE, MAYBE_OUTSIDE, MAYBE_INSIDE = 0, 1, 2, 3
"""The labels of `grab_cut`: the first two are kept, the others may change."""

_LARGE = 8
"""A radius from which distances are faster than looking around."""


def set_threads(count: int) -> None:
    cv2.setNumThreads(count)


def to_lab(rgb: Bytes) -> Field:
    """CIE L*a*b* (L in 0..100), whose Euclidean distance is about the visible difference."""
    scaled = rgb.astype(np.float32) / 255
    return cast("Field", cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB).astype(np.float64))


def colour_gap(one: Field, other: Field) -> Field:
    """The visible difference between two Lab pictures, or a picture and a colour, ``(h, w)``."""
    gap = one - other
    return np.sqrt(np.einsum("ijk,ijk->ij", gap, gap))


def to_rgb(lab: Field) -> Field:
    """The inverse of `to_lab`, sRGB in 0..1."""
    rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.clip(rgb, 0, 1).astype(np.float64)


def opened(bits: Bits, radius: int) -> Bits:
    """Without what is thinner than twice the ``radius``."""
    return dilate(erode(bits, radius), radius)


def resize(values: Field | Field32, width: int, height: int) -> Field:
    """Shrink by averaging areas, enlarge by cubic interpolation; ``(h, w)`` or ``(h, w, c)``."""
    smaller = width <= values.shape[1] and height <= values.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    out = cv2.resize(values.astype(np.float32), (width, height), interpolation=method)
    return out.astype(np.float64).reshape(height, width, *values.shape[2:])


def resize_bytes(pixels: Bytes, width: int, height: int) -> Bytes:
    """As `resize`, for pictures of 8 bits."""
    smaller = width <= pixels.shape[1] and height <= pixels.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return cast("Bytes", cv2.resize(pixels, (width, height), interpolation=method))


def threshold(pixels: Bytes, level: int) -> Bytes:
    """255 above ``level``, else 0."""
    return cast("Bytes", cv2.threshold(pixels, level, 255, cv2.THRESH_BINARY)[1])


def halve(values: Field32) -> Field32:
    """Half as large, rounded up, by averages; ``(h, w, c)``."""
    height, width, channels = values.shape
    half = (width + 1) // 2, (height + 1) // 2
    out = cv2.resize(values, half, interpolation=cv2.INTER_AREA)
    return out.astype(np.float32, copy=False).reshape(half[1], half[0], channels)


def stretch(values: Field32, width: int, height: int) -> Field32:
    """Bilinear, so that nothing overshoots; ``(h, w, c)``."""
    out = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    return out.astype(np.float32, copy=False).reshape(height, width, values.shape[2])


def shrink(values: Field32, width: int, height: int) -> Field32:
    """As `resize`, by averaging areas; ``(h, w, c)``, untouched where it has that size."""
    if values.shape[:2] == (height, width):
        return values
    out = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
    return out.astype(np.float32, copy=False).reshape(height, width, *values.shape[2:])


def shrink_bytes(pixels: Bytes, width: int, height: int) -> Bytes:
    """As `shrink`."""
    return cast("Bytes", cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def mean_around(values: Field32, side: int) -> Field32:
    """The mean over a square of ``side`` pixels around each; ``(h, w, c)``."""
    return cv2.blur(values, (side, side)).astype(np.float32, copy=False)


def look_up(values: Field32, x: Field32, y: Field32) -> Field32:
    """Bilinear values of ``(h, w, c)`` at places ``(n,)`` in pixels, whose centres lie at whole
    numbers; beyond its rim those of the rim."""
    side = 1 << 14
    out = np.empty((len(x), values.shape[2]), dtype=np.float32)
    for first in range(0, len(x), side):
        part = slice(first, first + side)
        got = cv2.remap(
            values, x[None, part], y[None, part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        out[part] = got.reshape(-1, values.shape[2])
    return out


def blur(values: Field, sigma: float) -> Field:
    """Gaussian blur; ``sigma`` in pixels, nothing below 0.1."""
    if sigma < 0.1:
        return values
    out = cv2.GaussianBlur(values.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return out.astype(np.float64)


def guided_filter(guide: Bytes, values: Field, radius: int, epsilon: float) -> Field:
    """Smooth ``values`` but follow the edges of ``guide`` (He, Sun and Tang, ECCV 2010);
    ``epsilon`` in squared grey levels of a 0..1 guide."""
    out = cv2.ximgproc.guidedFilter(
        guide.astype(np.float32) / 255, values.astype(np.float32), radius, epsilon
    )
    return out.astype(np.float64)


def components(bits: Bits) -> tuple[Indices, Indices]:
    """4-connected pieces: the label of every pixel (0 outside), and the area of every label."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bits.astype(np.uint8), connectivity=4)
    return labels.astype(np.int64), stats[:, cv2.CC_STAT_AREA].astype(np.int64)


def distance(bits: Bits) -> Field:
    """For every set pixel the Euclidean distance to the nearest unset one, in pixels; the world
    outside the picture counts as set."""
    return cv2.distanceTransform(bits.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(
        np.float64
    )


def dilate(bits: Bits, radius: int) -> Bits:
    if radius > _LARGE:
        return distance(~bits) <= radius
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(bits.astype(np.uint8), disc).astype(np.bool_)


def erode(bits: Bits, radius: int) -> Bits:
    """As `dilate`; the world outside the picture counts as set."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.erode(bits.astype(np.uint8), disc).astype(np.bool_)


def superpixels(lab: Field, size: int) -> Indices:
    """SLIC regions about ``size`` pixels wide (Achanta and others, TPAMI 2012); labels from 0."""
    slic = cv2.ximgproc.createSuperpixelSLIC(lab.astype(np.float32), cv2.ximgproc.SLIC, size, 20.0)
    slic.iterate(10)
    slic.enforceLabelConnectivity(25)
    return slic.getLabels().astype(np.int64)


def grab_cut(rgb: Bytes, labels: Bytes, rounds: int) -> Bytes:
    """Refine ``labels`` (see above) in ``rounds`` of colour models and graph cuts (Rother,
    Kolmogorov and Blake, SIGGRAPH 2004); the same input gives the same answer."""
    cv2.setRNGSeed(0)
    out = labels.copy()
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(bgr, out, (0, 0, 0, 0), models[0], models[1], rounds, cv2.GC_INIT_WITH_MASK)
    return out


def palette(points: Field32, count: int) -> tuple[Field32, Field32]:
    """The ``count`` colours around which ``points`` ``(n, 3)`` gather, and how far their own lie
    from each on average; the same input gives the same answer."""
    cv2.setRNGSeed(0)
    stop = cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 12, 0.5
    nearest = np.zeros((len(points), 1), np.int32)
    _, labels, centres = cv2.kmeans(points, count, nearest, stop, 1, cv2.KMEANS_PP_CENTERS)
    which: Indices = np.asarray(labels).astype(np.int64)[:, 0]
    colours = np.asarray(centres).astype(np.float32)
    away = np.linalg.norm(points - colours[which], axis=1)
    spread = [
        float(away[which == one].mean()) if (which == one).any() else 0.0 for one in range(count)
    ]
    return colours, np.array(spread, np.float32)
