"""Triangles to pixels: a depth-buffered rasteriser in plain numpy.

Works on whole arrays of candidate pixels instead of loops, and only finds out *which* triangle a
pixel shows and *where* on it; what it looks like is `shade`'s business.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from usina.apps.threed.array import Anything, Field, Field32, Indices

_CHUNK = 300_000
"""How many candidate pixels are looked at in one go."""

_ALL = slice(None)

_SLACK = 1e-5
"""How far outside a triangle still counts as inside, so that neighbours leave no gap."""


@dataclass(frozen=True, slots=True)
class Fragments:
    """Some visible pixels of one view, one row each: ``pixel`` is the index into the flattened
    picture, ``face`` the triangle seen there, ``weights`` ``(n, 3)`` the place on it in
    barycentric coordinates, true to a perspective view, ``nearness`` what `rasterise` was given,
    there."""

    pixel: Indices
    face: Indices
    weights: Field32
    nearness: Field

    def mix(self, values: Field | Field32, faces: Indices) -> Field32:
        """Vertex ``values`` ``(v, c)`` interpolated at each pixel, ``(n, c)``."""
        corner = np.take(faces, self.face, axis=0)
        single = values.astype(np.float32, copy=False)
        out = np.take(single, corner[:, 0], axis=0) * self.weights[:, :1]
        out += np.take(single, corner[:, 1], axis=0) * self.weights[:, 1:2]
        out += np.take(single, corner[:, 2], axis=0) * self.weights[:, 2:]
        return out


@dataclass(frozen=True, slots=True)
class Drawing:
    """One view: every visible ``pixel``, and by ``winner`` which front triangle it shows, of
    those that ``front`` counts among all, with their ``planes`` and the nearness of corners."""

    pixel: Indices
    winner: Indices
    front: Indices
    planes: Field
    nearness: Field
    width: int

    def fragments(self, part: slice | Indices = _ALL) -> Fragments:
        """What some of the visible pixels show."""
        pixel, winner = self.pixel[part], self.winner[part]
        row, column = np.divmod(pixel, self.width)
        at = np.column_stack([column + 0.5, row + 0.5, np.ones(len(pixel))])
        linear = np.einsum("ijk,ik->ij", np.take(self.planes, winner, axis=0), at)
        weights = linear[:, :3] * np.take(self.nearness, winner, axis=0) / linear[:, 3:]
        face = np.take(self.front, winner)
        return Fragments(pixel, face, weights.astype(np.float32), linear[:, 3])

    def parts(self, size: int) -> Iterator[Fragments]:
        """All of it in runs of at most ``size`` pixels."""
        for start in range(0, len(self.pixel), size):
            yield self.fragments(slice(start, start + size))


def rasterise(screen: Field, faces: Indices, width: int, height: int) -> Drawing:
    """Draw ``faces`` over vertices ``screen`` ``(v, 3)``: x right and y down in pixels, and a
    positive nearness that is linear on the screen (in perspective one over the distance, in
    parallel any constant less the distance); the nearest is seen. Only triangles that turn
    counterclockwise as seen are fronts; pixel centres lie at half numbers."""
    corner = screen[faces]
    planes, front = _planes(corner)
    box = _boxes(corner[front], width, height)
    nearness = np.zeros(width * height, dtype=np.float32)
    shown = np.full(width * height, -1, dtype=np.int32)
    for part in _chunks(box):
        pixel, owner, near = _candidates(planes[part], box[part], width)
        np.maximum.at(nearness, pixel, near)
        won = near >= nearness[pixel]
        shown[pixel[won]] = part[owner[won]]
    pixel = np.flatnonzero(shown >= 0)
    return Drawing(
        pixel, shown[pixel].astype(np.int64), front, planes, corner[front][:, :, 2], width
    )


def _planes(corner: Field) -> tuple[Field, Indices]:
    """Of the triangles ``(m, 3, 3)`` seen from the front, which they are, and ``(k, 4, 3)``: the
    factors of x, y and 1 whose sums are the three barycentric coordinates and the nearness."""
    x, y, near = corner[:, :, 0], corner[:, :, 1], corner[:, :, 2]
    second, third = [1, 2, 0], [2, 0, 1]
    doubled = (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0]) - (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0])
    front = np.flatnonzero(doubled > 1e-9)
    x, y, near, doubled = x[front], y[front], near[front], doubled[front]
    planes = np.empty((len(front), 4, 3))
    planes[:, :3, 0] = y[:, third] - y[:, second]
    planes[:, :3, 1] = x[:, second] - x[:, third]
    planes[:, :3, 2] = y[:, second] * x[:, third] - x[:, second] * y[:, third]
    planes[:, :3] /= doubled[:, None, None]
    planes[:, 3] = np.einsum("ijk,ij->ik", planes[:, :3], near)
    return planes, front


def _boxes(corner: Field, width: int, height: int) -> Indices:
    """``(k, 4)``: the first column and row of pixel centres in reach, and how many of each."""
    size = np.array([width, height])
    lowest, highest = extremes(corner[:, :, :2])
    low = np.clip(np.ceil(lowest - 0.5), 0, size)
    high = np.clip(np.floor(highest - 0.5) + 1, 0, size)
    return np.concatenate([low, np.maximum(high - low, 0)], axis=1).astype(np.int64)


def extremes(corner: Field) -> tuple[Field, Field]:
    """The lowest and the highest coordinates of triangles ``(m, 3, c)``."""
    first, second, third = corner[:, 0], corner[:, 1], corner[:, 2]
    return (
        np.minimum(np.minimum(first, second), third),
        np.maximum(np.maximum(first, second), third),
    )


def _chunks(box: Indices) -> list[Indices]:
    """Runs of triangles whose boxes hold about `_CHUNK` pixels together."""
    total = np.cumsum(box[:, 2] * box[:, 3])
    cuts = np.flatnonzero(np.diff(total // _CHUNK)) + 1
    return np.split(np.arange(len(box)), cuts)


def _candidates(planes: Field, box: Indices, width: int) -> tuple[Indices, Indices, Anything]:
    """Every pixel inside every triangle: its index, the triangle, and how near it is."""
    count = box[:, 2] * box[:, 3]
    owner = np.repeat(np.arange(len(box)), count)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    row, column = np.divmod(nth, box[owner, 2])
    first = np.column_stack([box[:, :2] + 0.5, np.ones(len(box))])
    base = np.einsum("nij,nj->in", planes, first).astype(np.float32)
    across, down = (planes[:, :, axis].T.astype(np.float32) for axis in (0, 1))
    x, y = column.astype(np.float32), row.astype(np.float32)
    inside = np.ones(len(owner), dtype=np.bool_)
    for side in range(3):
        inside &= base[side][owner] + across[side][owner] * x + down[side][owner] * y >= -_SLACK
    kept = np.flatnonzero(inside)
    owner, x, y = owner[kept], x[kept], y[kept]
    near = base[3][owner] + across[3][owner] * x + down[3][owner] * y
    pixel = (box[owner, 1] + row[kept]) * width + box[owner, 0] + column[kept]
    return pixel, owner, near
