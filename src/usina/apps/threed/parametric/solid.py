"""The few calls into manifold3d whose types are not stated there."""

from typing import Any, cast

import numpy as np
from manifold3d import CrossSection, Manifold, Mesh64

from usina.imaging.array import Field, Indices


def from_mesh(points: Field, faces: Indices) -> Manifold:
    """A closed surface as a solid: ``points`` ``(n, 3)``, ``faces`` ``(m, 3)``."""
    corners = np.ascontiguousarray(faces, dtype=np.uint64)
    return Manifold(Mesh64(np.ascontiguousarray(points), corners))


def hull(points: Field) -> Manifold:
    """The convex hull of ``points`` ``(n, 3)``."""
    return cast("Any", Manifold).hull_points(np.ascontiguousarray(points))


def box_of(solid: Manifold) -> Field:
    """``(2, 3)``: the lowest and the highest corner."""
    return np.array(cast("Any", solid).bounding_box(), dtype=np.float64).reshape(2, 3)


def section(points: Field) -> CrossSection:
    """The area within a polygon ``(n, 2)`` that turns counterclockwise."""
    return cast("Any", CrossSection)([np.ascontiguousarray(points)])


def bounds_of(area: CrossSection) -> tuple[float, float, float, float]:
    """Left, low, right, high."""
    left, low, right, high = cast("Any", area).bounds()
    return left, low, right, high


def polygon_of(area: CrossSection) -> Field:
    """The outline ``(n, 2)`` of an area in one piece."""
    return np.array(cast("Any", area).to_polygons()[0], dtype=np.float64)


def numbered(rows: int, columns: int) -> Indices:
    """``(rows, columns)``: 0, 1, 2 ... row by row."""
    return np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)


def polyhedron_of(solid: Manifold) -> tuple[Field, Indices, Indices, list[int]]:
    """Points with their properties ``(n, p)``, faces ``(m, 3)``, and of which original each face
    is: the originals' ids in turn, and after how many faces each ends."""
    mesh = cast("Any", solid).to_mesh64()
    table = np.array(mesh.vert_properties, dtype=np.float64)
    faces = np.array(mesh.tri_verts).astype(np.int64)
    ends = np.array(mesh.run_index, dtype=np.int64) // 3
    return table, faces, ends, [int(number) for number in mesh.run_original_id]
