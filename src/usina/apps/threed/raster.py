"""Triangles to pixels: a depth-buffered rasteriser in plain numpy.

Works on whole arrays of candidate pixels instead of loops, and only finds out *which* triangle a
pixel shows and *where* on it; what it looks like is `shade`'s business.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from usina.imaging.array import Field, Field32, Indices

_CHUNK = 300_000
"""How many candidate pixels are looked at in one go."""

_ALL = slice(None)

_SLACK = 1e-5
"""How far outside a triangle still counts as inside, so that neighbours leave no gap."""


@dataclass(frozen=True, slots=True)
class Fragments:
    """Some visible pixels of one view, one row each: ``pixel`` is the index into the flattened
    picture, ``face`` the triangle seen there, ``weights`` ``(n, 3)`` the place on it in
    barycentric coordinates, true to a perspective view."""

    pixel: Indices
    face: Indices
    weights: Field32

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
    """One view: every visible ``pixel``, the ``nearness`` seen there, and by ``winner`` which front
    triangle it shows, of those that ``front`` counts among all, with their ``planes``, the ``box``
    of pixels that these start in, and the nearness of the three ``corners``."""

    pixel: Indices
    nearness: Field32
    winner: Indices
    front: Indices
    planes: Field32
    box: Indices
    corners: Field32
    width: int

    def fragments(self, part: slice | Indices = _ALL) -> Fragments:
        """What some of the visible pixels show."""
        pixel, winner = self.pixel[part], self.winner[part]
        row, column = np.divmod(pixel, self.width)
        box = np.take(self.box, winner, axis=0)
        at = np.stack([column - box[:, 0], row - box[:, 1], np.ones_like(row)], axis=1)
        planes = np.take(self.planes, winner, axis=0)
        linear = np.einsum("ijk,ik->ij", planes, at.astype(np.float32))
        weights = linear[:, :3] * np.take(self.corners, winner, axis=0) / linear[:, 3:]
        return Fragments(pixel, np.take(self.front, winner), weights)

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
    doubled = _doubled_area(corner)
    front = np.flatnonzero(doubled > 1e-9)
    corner = corner[front]
    box = _boxes(corner, width, height)
    planes = _planes(corner, doubled[front], box)
    nearness = np.zeros(width * height, dtype=np.float32)
    shown = np.full(width * height, -1, dtype=np.int32)
    for part in _chunks(box):
        pixel, owner, near = _candidates(planes[part], box[part], width)
        np.maximum.at(nearness, pixel, near)
        won = near >= nearness[pixel]
        shown[pixel[won]] = part[owner[won]]
    pixel = np.flatnonzero(shown >= 0)
    corners = corner[:, :, 2].astype(np.float32)
    winner = shown[pixel].astype(np.int64)
    return Drawing(pixel, nearness[pixel], winner, front, planes, box, corners, width)


def _doubled_area(corner: Field) -> Field:
    """Of the triangles ``(m, 3, 3)`` as seen, above 0 where they show their front."""
    x, y = corner[:, :, 0], corner[:, :, 1]
    return (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0]) - (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0])


def _planes(corner: Field, doubled: Field, box: Indices) -> Field32:
    """``(k, 4, 3)``: the factors of x, y and 1 whose sums are the three barycentric coordinates and
    the nearness, x and y in pixels from the first of the ``box``; far from it 32 bits would not
    do."""
    near = corner[:, :, 2].T
    x, y = ((corner[:, :, axis] - (box[:, axis, None] + 0.5)).T for axis in (0, 1))
    planes = np.empty((4, 3, len(corner)))
    for side, (second, third) in enumerate(((1, 2), (2, 0), (0, 1))):
        planes[side, 0] = y[third] - y[second]
        planes[side, 1] = x[second] - x[third]
        planes[side, 2] = y[second] * x[third] - x[second] * y[third]
    planes[:3] /= doubled
    planes[3] = (planes[:3] * near[:, None]).sum(axis=0)
    return np.ascontiguousarray(planes.transpose(2, 0, 1), dtype=np.float32)


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


def _candidates(planes: Field32, box: Indices, width: int) -> tuple[Indices, Indices, Field32]:
    """Every pixel inside every triangle: its index, the triangle, and how near it is."""
    count = box[:, 2] * box[:, 3]
    owner = np.repeat(np.arange(len(box)), count)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    wide = np.take(box[:, 2], owner)
    row = ((nth + 0.5) / wide).astype(np.int64)
    column = nth - row * wide
    x, y = column.astype(np.float32), row.astype(np.float32)
    first, second = (_linear(planes[:, side], owner, x, y) for side in (0, 1))
    inside = (first >= -_SLACK) & (second >= -_SLACK) & (first + second <= 1 + _SLACK)
    kept = np.flatnonzero(inside)
    owner = owner[kept]
    near = _linear(planes[:, 3], owner, x[kept], y[kept])
    pixel = (box[owner, 1] + row[kept]) * width + box[owner, 0] + column[kept]
    return pixel, owner, near


def _linear(plane: Field32, owner: Indices, x: Field32, y: Field32) -> Field32:
    """The values at ``x`` and ``y`` of the planes ``(k, 3)`` that their owners have."""
    values = np.take(plane[:, 0], owner)
    values *= x
    values += np.take(plane[:, 1], owner) * y
    values += np.take(plane[:, 2], owner)
    return values
