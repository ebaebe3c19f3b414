"""The surface of a bed as triangles that keep its volume, and as binary STL.

A curved shape is drawn by a polyhedron a little larger than what is inscribed, so that the volume
is the shape's own to rounding: a flow that is meshed around it meets the true porosity.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from usina.apps.cfd.particles import Particles, Shape
from usina.imaging.array import Anything, Field, Indices

FINE, COARSE = 3, 2
"""How often each triangle of a sphere is cut into four, from the 20 of an icosahedron: 1280 or 320
triangles."""

_FINE_UPTO = 1000
_HEADER = b"Usina, metres, z up"
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("attribute", "<u2")])
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Surface:
    """Closed; ``points`` ``(v, 3)`` in metres; ``faces`` ``(m, 3)``, counterclockwise from
    outside."""

    points: Field
    faces: Indices


def fineness_for(count: int) -> int:
    """What keeps the file of so many particles within reason: 64 MB for 1000 fine ones."""
    return FINE if count <= _FINE_UPTO else COARSE


def particle_surface(shape: Shape, fineness: int = FINE) -> Surface:
    """One particle about its own centre, of exactly its volume."""
    if shape.kind == "sphere":
        ball = _ball(fineness)
        return Surface(ball.points * shape.diameter_m / 2, ball.faces)
    if shape.kind == "cube":
        return _cube(shape.diameter_m)
    return _turned(shape, 12 * 2 ** (fineness - 1))


def triangles(
    particles: Particles, fineness: int | None = None, *, shrink: float = 0.0
) -> Iterator[Field]:
    """``(t, 3, 3)`` corners of the triangles, some hundred particles at a time, each made smaller
    about its centre by the share ``shrink``."""
    count = len(particles)
    one = particle_surface(particles.shape, fineness or fineness_for(count))
    corners = one.points[one.faces] * (1 - shrink)
    turns = particles.rotations()
    for start in range(0, count, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        turned = np.einsum("nij,tcj->ntci", turns[part], corners)
        turned += particles.centres[part, None, None]
        yield turned.reshape(-1, 3, 3)


def write_stl(
    path: Path,
    particles: Particles,
    fineness: int | None = None,
    *,
    shrink: float = 0.0,
    between: Callable[[], None] = lambda: None,
) -> int:
    """The whole bed as one binary STL in metres; how many triangles it has. The same bed gives the
    same bytes. ``between`` is called now and then, and may raise to stop it."""
    count = 0
    with path.open("wb") as file:
        file.write(_HEADER.ljust(80, b"\0") + b"\0\0\0\0")
        for corners in triangles(particles, fineness, shrink=shrink):
            between()
            file.write(_packed(corners).tobytes())
            count += len(corners)
        file.seek(80)
        file.write(np.uint32(count).astype("<u4").tobytes())
    return count


def read_stl(path: Path) -> Field:
    """``(t, 3, 3)`` corners of a binary STL that `write_stl` wrote."""
    data = path.read_bytes()
    return np.frombuffer(data, dtype=_TRIANGLE, offset=84)["corner"].astype(np.float64)


def volume_of(corners: Field) -> float:
    """What closed surfaces of triangles ``(t, 3, 3)`` hold, by the divergence theorem."""
    a, b, c = np.moveaxis(corners - corners.reshape(-1, 3).mean(axis=0), 1, 0)
    return float(np.einsum("ti,ti->", a, np.cross(b, c))) / 6


def _packed(corners: Field) -> Anything:
    out = np.zeros(len(corners), dtype=_TRIANGLE)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    out["normal"] = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
    out["corner"] = corners
    return out


@cache
def _ball(fineness: int) -> Surface:
    """A sphere of radius 1 by volume."""
    points, faces = _icosahedron()
    for _ in range(fineness):
        points, faces = _split(points, faces)
    grown = np.cbrt(4 / 3 * np.pi / volume_of(points[faces]))
    return Surface(points * grown, faces)


def _icosahedron() -> tuple[Field, Indices]:
    high, out = np.sqrt(1 / 5), np.sqrt(4 / 5)
    turn = np.arange(5) * 2 * np.pi / 5
    upper = np.column_stack([out * np.cos(turn), out * np.sin(turn), np.full(5, high)])
    lower = np.column_stack([upper[:, :2] @ _half_step(), np.full(5, -high)])
    points = np.concatenate([[[0, 0, 1]], upper, lower, [[0, 0, -1]]])
    faces: list[tuple[int, int, int]] = []
    for here in range(5):
        after = (here + 1) % 5
        a, b, c, d = 1 + here, 1 + after, 6 + here, 6 + after
        faces += [(0, a, b), (a, c, b), (b, c, d), (11, d, c)]
    return points, np.array(faces, dtype=np.int64)


def _half_step() -> Field:
    """A turn by a tenth of a circle, for rows."""
    cos, sin = np.cos(np.pi / 5), np.sin(np.pi / 5)
    return np.array([[cos, sin], [-sin, cos]])


def _split(points: Field, faces: Indices) -> tuple[Field, Indices]:
    """Every triangle into four, the new points on the sphere."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, number = np.unique(edges, axis=0, return_inverse=True)
    middle = points[unique].sum(axis=1)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    ab, bc, ca = (number.reshape(-1, 3) + len(points)).T
    a, b, c = faces.T
    corners = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    small = [np.stack(corner, axis=1) for corner in corners]
    return np.concatenate([points, middle]), np.concatenate(small)


def _cube(edge: float) -> Surface:
    points = edge * (np.array([(n & 1, n >> 1 & 1, n >> 2) for n in range(8)]) - 0.5)
    quads = np.array(
        [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    )
    return Surface(points, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))


def _turned(shape: Shape, sides: int) -> Surface:
    """A cylinder or a ring, its rims polygons of the circles' areas."""
    wider = np.sqrt(2 * np.pi / (sides * np.sin(2 * np.pi / sides)))
    turn = np.arange(sides) * 2 * np.pi / sides
    circle = np.column_stack([np.cos(turn), np.sin(turn)]) * wider
    inner, outer = shape.inner_diameter_m / 2, shape.diameter_m / 2
    half = shape.length_m / 2
    # Once around the section: out and up, so that the outside is on the right hand.
    section = [(outer, -half), (outer, half), (inner, half), (inner, -half)]
    rims = [np.column_stack([circle * out, np.full(sides, high)]) for out, high in section]
    if not inner:
        rims[2:] = [np.array([[0, 0, half]]), np.array([[0, 0, -half]])]
    starts = np.cumsum([0, *(len(rim) for rim in rims)])
    faces: list[Indices] = []
    for number in range(4):
        after = (number + 1) % 4
        one, other = ((starts[n], len(rims[n])) for n in (number, after))
        faces.append(_band(one, other, sides))
    return Surface(np.concatenate(rims), np.concatenate(faces))


def _band(one: tuple[int, int], other: tuple[int, int], sides: int) -> Indices:
    """The triangles between two rims, given as their first point and how many they have: all of
    them, or a single one in the middle of an end."""
    here = np.arange(sides)
    after = (here + 1) % sides
    (first, wide), (second, also) = one, other
    a, b = (first + (turn if wide > 1 else 0 * turn) for turn in (here, after))
    c, d = (second + (turn if also > 1 else 0 * turn) for turn in (here, after))
    sheets: list[Indices] = []
    if wide > 1:
        sheets.append(np.stack([a, b, d], axis=1))
    if also > 1:
        sheets.append(np.stack([a, d, c], axis=1))
    return np.concatenate(sheets) if sheets else np.empty((0, 3), dtype=np.int64)
