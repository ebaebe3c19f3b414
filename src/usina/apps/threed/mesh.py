"""A closed surface of triangles: made of sheets, simplified, measured."""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.numeric import collapse_edges, pieces
from usina.apps.threed.sheet import Sheet, boundary
from usina.imaging.array import Field, Indices

_TRIES, _MORE = 10, 1.12


@dataclass(frozen=True, slots=True)
class Mesh:
    """``points`` ``(n, 3)``, y up and the front towards +z; ``faces`` ``(m, 3)``,
    counterclockwise from outside."""

    points: Field
    faces: Indices


@dataclass(frozen=True, slots=True)
class Measures:
    """``bounds`` is ``(2, 3)``: the lowest and the highest corner; ``volume`` is in cubes of the
    unit of the points, and true only of a watertight surface."""

    vertices: int
    faces: int
    watertight: bool
    volume: float
    bounds: Field


def close_sheet(sheet: Sheet, front: Field, back: Field) -> Mesh:
    """The body between two copies of a sheet at the heights ``front`` and ``back`` (``(n,)``,
    everywhere front above back), joined by a wall along the rim. Each copy keeps a rim of its own:
    triangles that touch the rim with all three corners would else lie upon each other."""
    count = len(sheet.points)
    flat = sheet.points * np.array([1.0, -1.0])
    points = np.concatenate([np.column_stack([flat, front]), np.column_stack([flat, back])])
    start, end = sheet.rim.T
    wall = (
        np.column_stack([start, start + count, end + count]),
        np.column_stack([start, end + count, end]),
    )
    faces = np.concatenate([sheet.faces, sheet.faces[:, ::-1] + count, *wall])
    return Mesh(points, faces)


def decimate(mesh: Mesh, target: int) -> Mesh:
    """``target`` triangles or few less; more where sharp edges allow no fewer. A result that is not
    watertight any more is given up for one with more, at worst for the mesh as it is."""
    for _ in range(_TRIES):
        if target >= len(mesh.faces):
            break
        simple = _collapse(mesh, target, keep_rim=False)
        if is_watertight(simple.faces):
            return simple
        target = round(_MORE * target)
    return mesh


def decimate_open(mesh: Mesh, target: int) -> Mesh:
    """As `decimate`, for a surface with a rim, which stays as it is."""
    for _ in range(_TRIES):
        if target >= len(mesh.faces):
            break
        simple = _collapse(mesh, target, keep_rim=True)
        same_rim = len(boundary(simple.faces)) == len(boundary(mesh.faces))
        if same_rim:
            return simple
        target = round(_MORE * target)
    return mesh


def is_watertight(faces: Indices) -> bool:
    """Whether every edge belongs to exactly two triangles that run along it in opposite
    directions, and no triangle has two corners in one place."""
    if not len(faces):
        return False
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    if (edges[:, 0] == edges[:, 1]).any():
        return False
    size = int(faces.max()) + 1
    there = np.sort(edges[:, 0] * size + edges[:, 1])
    back = np.sort(edges[:, 1] * size + edges[:, 0])
    return bool((np.diff(there) > 0).all() and (there == back).all())


def measure(points: Field, faces: Indices) -> Measures:
    """What is true of a surface as written, points in the same place taken for one."""
    return Measures(
        vertices=len(points),
        faces=len(faces),
        watertight=is_watertight(merged(points, faces).faces),
        volume=float(_cones(points, faces).sum()),
        bounds=np.stack([points.min(axis=0), points.max(axis=0)]),
    )


def shell_volumes(mesh: Mesh) -> Field:
    """The volume within each piece of a surface, below 0 where that is turned inside out."""
    return np.bincount(pieces(mesh.faces), _cones(mesh.points, mesh.faces)).astype(np.float64)


def _cones(points: Field, faces: Indices) -> Field:
    """The signed volume between each triangle and the origin."""
    corner = points[faces]
    return (corner[:, 0] * np.cross(corner[:, 1], corner[:, 2])).sum(axis=1) / 6


def merged(points: Field, faces: Indices) -> Mesh:
    """The surface with every place a single point."""
    single, index = np.unique(points, axis=0, return_inverse=True)
    return Mesh(single, index.ravel()[faces])


def face_normals(mesh: Mesh) -> Field:
    """``(m, 3)`` of length 1; 0 for a triangle without area."""
    corner = mesh.points[mesh.faces]
    normals = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    return unit(normals)


def face_areas(mesh: Mesh) -> Field:
    """``(m,)``."""
    corner = mesh.points[mesh.faces]
    twice = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    return np.asarray(np.linalg.norm(twice, axis=1) / 2, dtype=np.float64)


def unit(vectors: Field) -> Field:
    """Vectors along the last axis at length 1; a vector of length 0 stays."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _collapse(mesh: Mesh, target: int, *, keep_rim: bool) -> Mesh:
    return mend(_weld(Mesh(*collapse_edges(mesh.points, mesh.faces, target, keep_rim=keep_rim))))


def mend(mesh: Mesh) -> Mesh:
    """Where a thin part was pinched to an edge, which then belongs to four triangles, pinch it on
    to a point: the four go, and what they touched meets there."""
    faces = mesh.faces
    for _ in range(_TRIES):
        edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        edges, counts = np.unique(edges, axis=0, return_counts=True)
        pinched = edges[counts > 2]
        if not len(pinched):
            break
        onto = np.arange(len(mesh.points))
        onto[pinched[:, 1]] = pinched[:, 0]
        faces = onto[faces]
        a, b, c = faces.T
        faces = _without_doubles(faces[(a != b) & (b != c) & (c != a)])
    return Mesh(mesh.points, faces)


def _without_doubles(faces: Indices) -> Indices:
    """Without triangles that lie upon each other."""
    _, index, counts = np.unique(
        np.sort(faces, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return faces[counts[index.ravel()] == 1]


def _weld(mesh: Mesh) -> Mesh:
    """Points to a thousandth; those that fall together become one, and the triangles between
    them go. Nearer to each other they would be one in the 32 bits of a file."""
    points, index = np.unique(mesh.points.round(3), axis=0, return_inverse=True)
    faces = index.ravel()[mesh.faces]
    a, b, c = faces.T
    return Mesh(points, faces[(a != b) & (b != c) & (c != a)])
