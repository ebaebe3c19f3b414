"""Values known somewhere, read anywhere."""

import numpy as np

from usina.apps.threed.numeric import nearest
from usina.imaging.array import Field

_NEIGHBOURS = 3


def grid_points(x: Field, y: Field) -> Field:
    """``(n, 2)``: the crossings of columns ``x`` and rows ``y``, row by row."""
    return np.column_stack([np.tile(x, len(y)), np.repeat(y, len(x))])


def pixel_centres(height: int, width: int) -> Field:
    """``(n, 2)``: the middle of every pixel of a picture, row by row."""
    return grid_points(np.arange(0.5, width), np.arange(0.5, height))


def between_pixels(values: Field, points: Field) -> Field:
    """Bilinear values of a picture ``(h, w)`` or ``(h, w, c)`` at ``points`` ``(n, 2)``: x right
    and y down in pixels, whose centres lie at half numbers."""
    height, width = values.shape[:2]
    x = np.clip(points[:, 0] - 0.5, 0, width - 1)
    y = np.clip(points[:, 1] - 0.5, 0, height - 1)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    right_share, down_share = x - left, y - top
    if values.ndim == 3:
        right_share, down_share = right_share[:, None], down_share[:, None]
    upper = values[top, left] * (1 - right_share) + values[top, right] * right_share
    lower = values[bottom, left] * (1 - right_share) + values[bottom, right] * right_share
    return upper * (1 - down_share) + lower * down_share


def between_points(points: Field, values: Field, at: Field) -> Field:
    """``values`` (``(n, c)``, known at ``points`` ``(n, d)``) at the places ``at`` ``(m, d)``: the
    mean of the nearest three, weighted by one over their distance."""
    count = min(_NEIGHBOURS, len(points))
    distance, index = nearest(points, at, count)
    weight = 1 / np.maximum(distance, 1e-9)
    weight /= weight.sum(axis=1, keepdims=True)
    return (values[index] * weight[:, :, None]).sum(axis=1)
