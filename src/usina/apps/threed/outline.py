"""How much of each pixel a surface covers: its outline is what an eye sees first."""

import cv2
import numpy as np

from usina.apps.threed.raster import extremes
from usina.imaging.array import Bits, Bytes, Field, Field32, Indices
from usina.imaging.opencv import dilate, erode, shrink_bytes

_SAMPLES, _BITS = 4, 4


def cover(screen: Field, faces: Indices, seen: Field32) -> Field32:
    """``(height, width)``: the covered share of every pixel of a view, whose own coarser answer is
    ``seen``; ``screen`` as in `rasterise`, ``faces`` those that turn their front. Only what touches
    the outline is drawn again, finer."""
    height, width = seen.shape
    band = dilate(seen > 0, 1) & ~erode(seen > 0.999, 1)
    corner = screen[:, :2][faces]
    near = corner[_touching(corner, band)]
    fine: Bytes = np.zeros((height * _SAMPLES, width * _SAMPLES), dtype=np.uint8)
    places = np.rint((near * _SAMPLES - 0.5) * (1 << _BITS)).astype(np.int32)
    for triangle in places:
        cv2.fillConvexPoly(fine, triangle, 255, lineType=cv2.LINE_8, shift=_BITS)
    drawn = shrink_bytes(fine, width, height).astype(np.float32) / 255
    return np.where(band, drawn, seen > 0.5).astype(np.float32)


def _touching(corner: Field, band: Bits) -> Bits:
    """Which triangles' boxes hold a pixel of the band, by its sums from the upper left."""
    sums = cv2.integral(band.astype(np.uint8))
    limit = np.array(band.shape[::-1])
    lowest, highest = extremes(corner)
    low = np.clip(np.floor(lowest), 0, limit).astype(np.int64)
    high = np.clip(np.ceil(highest), 0, limit).astype(np.int64)
    (left, top), (right, bottom) = low.T, high.T
    count = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.asarray(count > 0)
