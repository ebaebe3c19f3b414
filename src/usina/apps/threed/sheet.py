"""A flat triangle mesh that fills a contour exactly.

The plane is cut into small triangles; those inside stay, those outside go, and those that the
contour crosses are cut along it (marching triangles). Each crossing lies on one edge of that
triangulation and so belongs to at most two triangles: the rim of the result is made of closed
loops that never touch, whatever the contour looks like.
"""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.interpolate import between_pixels, grid_points
from usina.imaging.array import Bits, Field, Indices
from usina.imaging.opencv import blur


@dataclass(frozen=True, slots=True)
class Sheet:
    """``points`` is ``(n, 2)``: x to the right and y down, in pixels of the mask, whose pixel
    centres lie at half numbers; ``faces`` is ``(m, 3)``, counterclockwise as seen with y up;
    ``rim`` is ``(k, 2)``: the directed boundary edges, the sheet on their left."""

    points: Field
    faces: Indices
    rim: Indices

    @property
    def on_rim(self) -> Bits:
        bits = np.zeros(len(self.points), dtype=np.bool_)
        bits[self.rim] = True
        return bits


def fill_contour(inside: Field, step: float) -> Sheet:
    """Fill the part of ``inside`` (``(h, w)``) above 0.5 with triangles about ``step`` pixels
    wide."""
    nodes, values = _lattice(inside, step)
    triangles = _triangles(values.shape)
    values = values.ravel()
    points = [nodes]
    positive = values > 0
    count = positive[triangles].sum(axis=1)
    faces = [triangles[count == 3]]
    edges: list[Indices] = []
    for kind in (1, 2):
        corners = _lone_first(triangles[count == kind], positive, lone=kind == 1)
        edges += [corners[:, [0, 1]], corners[:, [0, 2]]]
    crossings, index = _crossings(np.concatenate(edges), len(nodes))
    points.append(_positions(crossings, nodes, values))
    first, second, third, fourth = np.split(index, np.cumsum([len(part) for part in edges])[:-1])
    tips = _lone_first(triangles[count == 1], positive, lone=True)
    faces.append(np.stack([tips[:, 0], first, second], axis=1))
    bases = _lone_first(triangles[count == 2], positive, lone=False)
    faces.append(np.stack([third, bases[:, 1], bases[:, 2]], axis=1))
    faces.append(np.stack([third, bases[:, 2], fourth], axis=1))
    return _compact(np.concatenate(points), np.concatenate(faces))


def fill_rectangle(width: float, height: float, step: float) -> Sheet:
    """Fill a rectangle from (0, 0) with triangles about ``step`` pixels wide."""
    across, down = max(2, round(width / step) + 1), max(2, round(height / step) + 1)
    faces = _triangles((down, across))
    points = grid_points(np.linspace(0, width, across), np.linspace(0, height, down))
    return Sheet(points, faces, boundary(faces))


def boundary(faces: Indices) -> Indices:
    """The directed edges that only one triangle has, ``(k, 2)``."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    size = int(faces.max()) + 1 if len(faces) else 1
    keys = edges.min(axis=1) * size + edges.max(axis=1)
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return edges[np.sort(first[counts == 1])]


def _lattice(inside: Field, step: float) -> tuple[Field, Field]:
    """Points of a square lattice over the object and a step beyond it, and by how much the smoothed
    mask there exceeds a half; beyond the picture is outside."""
    height, width = inside.shape
    smooth = blur(inside, 0.5 * step)
    across = _stations(smooth.max(axis=0), step)
    down = _stations(smooth.max(axis=1), step)
    points = grid_points(across, down)
    values = between_pixels(smooth, points) - 0.5
    values[((points < 0) | (points > np.array([width, height]))).sum(axis=1) > 0] = -0.5
    return points, values.reshape(len(down), len(across))


def _stations(profile: Field, step: float) -> Field:
    """The lattice's places along one side of the picture, whose middle is between or on them: those
    near where the mask's ``profile`` exceeds a half."""
    count = int(np.ceil(len(profile) / step)) + 2
    places = np.arange(count, dtype=np.float64) * step + (len(profile) - (count - 1) * step) / 2
    inside = np.flatnonzero(profile > 0.5)
    low, high = (inside[0], inside[-1] + 1) if len(inside) else (0, len(profile))
    return places[(places >= low - 2 * step - 1) & (places <= high + 2 * step + 1)]


def _triangles(shape: tuple[int, ...]) -> Indices:
    """Two triangles a cell, their diagonals alternating like a chess board."""
    rows, columns = shape
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    odd = np.add.outer(np.arange(rows - 1), np.arange(columns - 1)).ravel() % 2 == 1
    first = np.where(odd[:, None], np.stack([a, c, b], axis=1), np.stack([a, c, d], axis=1))
    second = np.where(odd[:, None], np.stack([b, c, d], axis=1), np.stack([a, d, b], axis=1))
    return np.concatenate([first, second])


def _lone_first(triangles: Indices, positive: Bits, *, lone: bool) -> Indices:
    """Turn each triangle so that its one corner that is (``lone``) or is not inside is first."""
    at = (positive[triangles] == lone).argmax(axis=1)
    order = (at[:, None] + np.arange(3)) % 3
    return np.take_along_axis(triangles, order, axis=1)


def _crossings(edges: Indices, count: int) -> tuple[Indices, Indices]:
    """The edges once each, and for every edge given the number of its point, from ``count`` on."""
    keys = np.sort(edges, axis=1) @ np.array([count, 1])
    unique, index = np.unique(keys, return_inverse=True)
    return np.stack(np.divmod(unique, count), axis=1), index.ravel() + count


def _positions(edges: Indices, nodes: Field, values: Field) -> Field:
    start, end = values[edges[:, 0]], values[edges[:, 1]]
    share = np.clip(start / (start - end), 0.05, 0.95)[:, None]
    return nodes[edges[:, 0]] * (1 - share) + nodes[edges[:, 1]] * share


def _compact(points: Field, faces: Indices) -> Sheet:
    used, flat = np.unique(faces, return_inverse=True)
    faces = flat.reshape(-1, 3)
    return Sheet(points[used], faces, boundary(faces))
