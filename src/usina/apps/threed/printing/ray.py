"""Where straight lines meet a surface first."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from usina.apps.threed.mesh import Mesh
from usina.imaging.array import Anything, Field, Indices

_PAIRS = 1 << 19
"""How many pairs of a ray and a group are looked at in one go."""

_FEW, _GROUP, _BITS = 40_000, 32, 6
_START = 1e-6
_SLACK = 1e-5
_EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class _Spheres:
    """Spheres that enclose triangles, ``(n, 3)`` and ``(n,)``, in an ``order`` in which neighbours
    lie close together; those of every ``size`` in a row are enclosed by one of ``groups``."""

    middle: Field
    radius: Field
    order: Indices
    groups: tuple[Field, Field]
    size: int


def first_hits(
    mesh: Mesh, origins: Field, directions: Field, between: Callable[[], None] = lambda: None
) -> tuple[Field, Indices]:
    """How far each ray (unit ``directions``, ``(n, 3)``) runs until it meets a triangle, infinite
    where it meets none, and which triangle that is, or -1. What lies nearer than a millionth of
    the mesh's extent counts as the place where the ray starts.
    ``between`` is called now and then; it may raise to stop it."""
    low, extent = mesh.points.min(axis=0), float(np.ptp(mesh.points, axis=0).max())
    corner, starts = (mesh.points[mesh.faces] - low) / extent, (origins - low) / extent
    spheres = _enclose(corner)
    far, face = np.full(len(origins), np.inf), np.full(len(origins), -1, dtype=np.int64)
    step = max(1, _PAIRS // len(spheres.groups[1]))
    for first in range(0, len(origins), step):
        between()
        part = slice(first, first + step)
        ray, met = _candidates(starts[part], directions[part], spheres)
        along = _crossing(starts[part][ray], directions[part][ray], corner[met])
        order = np.lexsort((-met, along))[::-1]
        order = order[along[order] < np.inf]
        far[first + ray[order]], face[first + ray[order]] = along[order] * extent, met[order]
    return far, face


def _enclose(corner: Field) -> _Spheres:
    middle = corner.mean(axis=1)
    radius = np.sqrt(((corner - middle[:, None]) ** 2).sum(axis=2).max(axis=1)) + _SLACK
    order = np.argsort(_along_curve(middle), kind="stable")
    size = 1 if len(order) <= _FEW else _GROUP
    starts = np.arange(0, len(order), size)
    count = np.diff(starts, append=len(order))
    centre = np.add.reduceat(middle[order], starts) / count[:, None]
    away = np.linalg.norm(middle[order] - np.repeat(centre, count, axis=0), axis=1)
    groups = centre, np.maximum.reduceat(away + radius[order], starts)
    return _Spheres(middle, radius, order, groups, size)


def _along_curve(places: Field) -> Indices:
    """The number of each place in 0..1 along a curve that stays close to itself (Morton)."""
    cell = np.clip(places * (1 << _BITS), 0, (1 << _BITS) - 1).astype(np.int64)
    number = np.zeros(len(places), dtype=np.int64)
    for bit in range(_BITS):
        number |= ((cell >> bit & 1) << np.array([0, 1, 2])).sum(axis=1) << (3 * bit)
    return number


def _candidates(origins: Field, directions: Field, spheres: _Spheres) -> tuple[Indices, Indices]:
    """The pairs of a ray and a triangle whose sphere the ray's line passes through: first those of
    a ray and a whole group, all at once by two products of matrices."""
    centre, radius = spheres.groups
    o, d, c = (values.astype(np.float32) for values in (origins, directions, centre))
    along: Anything = d @ c.T - (d * o).sum(axis=1)[:, None]
    along *= along
    gap: Anything = o @ c.T
    gap *= -2
    gap += (o**2).sum(axis=1)[:, None]
    gap += (c**2).sum(axis=1) - (radius**2 + _SLACK).astype(np.float32)
    ray, group = np.divmod(np.flatnonzero(gap <= along), len(centre))
    place = group[:, None] * spheres.size + np.arange(spheres.size)
    pair, nth = np.nonzero(place < len(spheres.order))
    ray, face = ray[pair], spheres.order[place[pair, nth]]
    apart = np.cross(spheres.middle[face] - origins[ray], directions[ray])
    near = np.einsum("ij,ij->i", apart, apart) <= spheres.radius[face] ** 2
    return ray[near], face[near]


def _crossing(origins: Field, directions: Field, corner: Field) -> Field:
    """How far along each ray it crosses its triangle, infinite where it does not (Moeller and
    Trumbore, Journal of Graphics Tools 1997)."""
    first, second = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    sideways = np.cross(directions, second)
    scale = (first * sideways).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        start = origins - corner[:, 0]
        u = (start * sideways).sum(axis=1) / scale
        turned = np.cross(start, first)
        v = (directions * turned).sum(axis=1) / scale
        along = (second * turned).sum(axis=1) / scale
        hit = (u >= -_EDGE) & (v >= -_EDGE) & (u + v <= 1 + _EDGE) & (along > _START)
    return np.where(hit, along, np.inf)
