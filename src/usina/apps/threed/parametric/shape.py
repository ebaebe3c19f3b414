"""Exact solids out of outlines: turned, raised, swept, and rounded where a hand would feel an edge.

Circles are regular polygons inscribed in the true ones: with `SEGMENTS` sides a length lies within
0.06 % and an area within 0.08 % of the exact one.
"""

from collections.abc import Sequence
from math import acos, ceil, cos, hypot, pi, sin, tan

import numpy as np
from manifold3d import Manifold

from usina.apps.threed.mesh import unit
from usina.apps.threed.parametric.solid import box_of, from_mesh, hull, numbered, section
from usina.imaging.array import Field

SEGMENTS = 96
_VESSEL_SEGMENTS = 80
_ARC_STEP = pi / 18

Corner = tuple[float, float] | tuple[float, float, float]
"""A corner of an outline: two coordinates, and the radius that it is rounded with."""


def outline(*corners: Corner) -> Field:
    """``(n, 2)``: the closed polygon with its corners rounded by arcs; a radius that does not fit
    between the neighbours is made smaller."""
    places = np.array([corner[:2] for corner in corners])
    rows: list[tuple[float, float]] = []
    for at, corner in enumerate(corners):
        radius = corner[2] if len(corner) == 3 else 0.0
        rows += _round_corner(places[at - 1], places[at], places[(at + 1) % len(places)], radius)
    return np.array(rows)


def _round_corner(
    before: Field, here: Field, after: Field, radius: float
) -> list[tuple[float, float]]:
    back, ahead = before - here, after - here
    reach = 0.499 * min(hypot(*back), hypot(*ahead))
    if radius <= 0 or reach <= 0:
        return [(here[0], here[1])]
    back, ahead = back / hypot(*back), ahead / hypot(*ahead)
    half = acos(float(np.clip(back @ ahead, -1, 1))) / 2
    if half > pi / 2 - 1e-3:
        return [(here[0], here[1])]
    from_corner = min(radius / tan(half), reach)
    radius = from_corner * tan(half)
    middle = unit(back + ahead)
    centre = here + middle * hypot(from_corner, radius)
    sweep = pi / 2 - half
    steps = max(2, ceil(2 * sweep / _ARC_STEP))
    side = np.array([-middle[1], middle[0]])
    side = side if side @ back > 0 else -side
    turns = np.linspace(sweep, -sweep, steps + 1)
    arc = centre + radius * (np.outer(np.sin(turns), side) - np.outer(np.cos(turns), middle))
    return [(x, y) for x, y in arc.tolist()]


def curve(points: Sequence[tuple[float, float]], per: int = 6) -> Field:
    """``(n, 2)``: a smooth line through the points (Catmull and Rom, 1974)."""
    known = np.array(points, dtype=np.float64)
    padded = np.concatenate([2 * known[:1] - known[1:2], known, 2 * known[-1:] - known[-2:-1]])
    share = np.linspace(0, 1, per, endpoint=False)[:, None]
    rows = [
        0.5
        * (
            2 * b
            + (c - a) * share
            + (2 * a - 5 * b + 4 * c - d) * share**2
            + (3 * b - a - 3 * c + d) * share**3
        )
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.concatenate([*rows, known[-1:]])


def lathe(points: Field, segments: int = SEGMENTS) -> Manifold:
    """A profile of distances from the z axis and heights, turned around it."""
    profile = points if _turns_left(points) else points[::-1]
    return Manifold.revolve(section(profile), segments)


def turn(*corners: Corner, segments: int = SEGMENTS) -> Manifold:
    """As `lathe`, from rounded corners."""
    return lathe(outline(*corners), segments)


def vessel(side: Field, wall: float, diameter: float, height: float) -> Manifold:
    """A hollow body of even ``wall``, open at the top, its lip round; ``side`` runs smoothly from
    the rim of its foot to the lip."""
    along = unit(np.gradient(side, axis=0))
    inner = side - wall * np.column_stack([along[:, 1], -along[:, 0]])
    floor = 1.3 * wall
    first = int(np.argmax(inner[:, 1] > floor))
    at_floor = np.interp(floor, inner[first - 1 : first + 1, 1], inner[first - 1 : first + 1, 0])
    turns = np.linspace(0, pi, 9)[1:-1, None]
    lip_middle, out = (side[-1] + inner[-1]) / 2, (side[-1] - inner[-1]) / 2
    lip = lip_middle + np.cos(turns) * out + np.sin(turns) * along[-1] * wall / 2
    bottom = np.array([[at_floor, floor], [0.0, floor], [0.0, 0.0]])
    body = lathe(np.concatenate([side, lip, inner[: first - 1 : -1], bottom]), _VESSEL_SEGMENTS)
    return sized(body, diameter, diameter, height)


def sized(
    solid: Manifold,
    width: float | None = None,
    depth: float | None = None,
    height: float | None = None,
) -> Manifold:
    """Stretched to be exactly so large along x, y and z; a side that is not given stays. What
    rounding and facets took off is given back, so it is meant for small corrections."""
    extent = np.ptp(box_of(solid), axis=0)
    asked = (width, depth, height)
    wanted = [have if want is None else want for have, want in zip(extent, asked, strict=True)]
    x, y, z = (np.array(wanted) / extent).tolist()
    return solid.scale((x, y, z))


def cylinder(radius: float, height: float, segments: int = SEGMENTS) -> Manifold:
    """Standing on z = 0 around the z axis."""
    return Manifold.cylinder(height, radius, radius, segments)


def ball(radius: float, segments: int = SEGMENTS) -> Manifold:
    return Manifold.sphere(radius, segments)


def box(width: float, depth: float, height: float, round_by: float = 0.0) -> Manifold:
    """Standing on z = 0, centred on x and y, its edges and corners rounded."""
    radius = min(round_by, 0.49 * min(width, depth, height))
    if radius <= 0:
        return Manifold.cube((width, depth, height), center=True).translate((0, 0, height / 2))
    turns = np.linspace(0, pi / 2, 7)
    octant = np.array([(cos(a) * cos(b), sin(a) * cos(b), sin(b)) for a in turns for b in turns])
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    inner = np.array([width, depth, height]) / 2 - radius
    points = (signs[:, None] * (inner + radius * octant[None])).reshape(-1, 3)
    return hull(points + np.array([0, 0, height / 2]))


def raised(points: Field, height: float, edge: float, steps: int = 5) -> Manifold:
    """A plate of an outline ``(n, 2)`` that its centre sees wholly, from z = 0 to ``height``, its
    rims rounded by ``edge``."""
    ring = points if _turns_left(points) else points[::-1]
    edge = min(edge, 0.49 * height)
    if edge <= 0:
        return Manifold.extrude(section(ring), height)
    turns = np.linspace(0, pi / 2, steps + 1)
    inward = edge * (1 - np.sin(turns))
    up = edge * (1 - np.cos(turns))
    levels = [*zip(inward, up, strict=True), *zip(inward[::-1], height - up[::-1], strict=True)]
    mitre = _mitres(ring)
    rings = [
        np.column_stack([ring - mitre * shrink, np.full(len(ring), level)])
        for shrink, level in levels
    ]
    return loft(np.array(rings))


def _mitres(ring: Field) -> Field:
    """How far each corner of a counterclockwise outline moves when its sides move out by 1; not
    beyond three times that."""
    along = unit(np.roll(ring, -1, axis=0) - ring)
    out = np.column_stack([along[:, 1], -along[:, 0]])
    both = out + np.roll(out, 1, axis=0)
    return both / np.maximum((both**2).sum(axis=1, keepdims=True) / 2, 2 / 9)


def loft(rings: Field, *, closed: bool = False) -> Manifold:
    """A solid through ``rings`` ``(k, n, 3)``, counterclockwise as seen from the last one; its
    ends are fans around their middles, or it is closed on itself."""
    count, size = len(rings), len(rings[0])
    index = numbered(count, size)
    upper = np.roll(index, -1, axis=0) if closed else index[1:]
    lower = index if closed else index[:-1]
    right = (np.roll(lower, -1, axis=1), np.roll(upper, -1, axis=1))
    walls = [np.stack([lower, right[0], right[1]], -1), np.stack([lower, right[1], upper], -1)]
    points = rings.reshape(-1, 3)
    faces = [wall.reshape(-1, 3) for wall in walls]
    if not closed:
        middles = np.stack([rings[0].mean(axis=0), rings[-1].mean(axis=0)])
        first, last = index[0], index[-1]
        bottom, top = np.full(size, len(points)), np.full(size, len(points) + 1)
        faces.append(np.column_stack([np.roll(first, -1), first, bottom]))
        faces.append(np.column_stack([last, np.roll(last, -1), top]))
        points = np.concatenate([points, middles])
    return from_mesh(points, np.concatenate(faces))


def sweep(
    path: Field, radius: float | Field, *, sides: int = 32, closed: bool = False, flat: float = 1.0
) -> Manifold:
    """A tube along ``path`` ``(k, 3)``; ``radius`` may vary along it, ``flat`` squeezes it across
    its first bend. Frames turn as little as they can from one place to the next."""
    ahead = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)
    if not closed:
        ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
    ahead = unit(ahead)
    across = _transported(ahead, _first_across(path, ahead[0]))
    over = np.cross(ahead, across)
    turns = np.linspace(0, 2 * pi, sides, endpoint=False)[None, :, None]
    wide = np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(path),))[:, None, None]
    rings = np.cos(turns) * across[:, None] + flat * np.sin(turns) * over[:, None]
    return loft(path[:, None] + wide * rings, closed=closed)


def _first_across(path: Field, ahead: Field) -> Field:
    bend = path[len(path) // 2] - (path[0] + path[-1]) / 2
    bend = bend - (bend @ ahead) * ahead
    if np.linalg.norm(bend) < 1e-9:
        axis = np.eye(3)[int(np.argmin(np.abs(ahead)))]
        bend = axis - (axis @ ahead) * ahead
    return unit(bend)


def _transported(ahead: Field, first: Field) -> Field:
    rows = [first]
    for direction in ahead[1:]:
        moved = rows[-1] - (rows[-1] @ direction) * direction
        rows.append(unit(moved))
    return np.array(rows)


def circle(radius: float, count: int = SEGMENTS, begin: float = 0.0) -> Field:
    """``(count, 2)`` counterclockwise; ``begin`` in degrees."""
    turns = np.linspace(0, 2 * pi, count, endpoint=False) + begin * pi / 180
    return radius * np.column_stack([np.cos(turns), np.sin(turns)])


def around(solid: Manifold, count: int, begin: float = 0.0) -> list[Manifold]:
    """Copies of a solid, evenly turned around the z axis."""
    return [solid.rotate((0, 0, begin + 360 * at / count)) for at in range(count)]


def _turns_left(points: Field) -> bool:
    x, y = points.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) > 0
