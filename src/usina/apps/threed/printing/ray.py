"""Where straight lines meet a surface first."""

import numpy as np

from usina.apps.threed.array import Anything, Field, Indices
from usina.apps.threed.mesh import Mesh

_PAIRS = 1 << 19
"""How many pairs of a ray and a triangle are looked at in one go."""

_START = 1e-6
_SLACK = 1e-5
_EDGE = 1e-9


def first_hits(mesh: Mesh, origins: Field, directions: Field) -> tuple[Field, Indices]:
    """How far each ray (unit ``directions``, ``(n, 3)``) runs until it meets a triangle, infinite
    where it meets none, and which triangle that is, or -1. What lies nearer than a millionth of
    the mesh's extent counts as the place where the ray starts."""
    low, extent = mesh.points.min(axis=0), float(np.ptp(mesh.points, axis=0).max())
    corner, starts = (mesh.points[mesh.faces] - low) / extent, (origins - low) / extent
    middle = corner.mean(axis=1)
    reach = ((corner - middle[:, None]) ** 2).sum(axis=2).max(axis=1) + _SLACK
    far, face = np.full(len(origins), np.inf), np.full(len(origins), -1, dtype=np.int64)
    step = max(1, _PAIRS // len(corner))
    for first in range(0, len(origins), step):
        part = slice(first, first + step)
        ray, met = _near_lines(starts[part], directions[part], middle, reach)
        along = _crossing(starts[part][ray], directions[part][ray], corner[met])
        order = np.lexsort((-met, along))[::-1]
        order = order[along[order] < np.inf]
        far[first + ray[order]], face[first + ray[order]] = along[order] * extent, met[order]
    return far, face


def _near_lines(
    origins: Field, directions: Field, middle: Field, reach: Field
) -> tuple[Indices, Indices]:
    """The pairs of a ray and a triangle whose enclosing sphere the ray's line passes through."""
    o, d, c = (values.astype(np.float32) for values in (origins, directions, middle))
    along: Anything = d @ c.T - (d * o).sum(axis=1)[:, None]
    gap: Anything = o @ c.T
    gap *= -2
    gap += (o**2).sum(axis=1)[:, None]
    gap += ((c**2).sum(axis=1) - reach.astype(np.float32))[None, :]
    along *= along
    ray, face = np.divmod(np.flatnonzero(gap <= along), len(middle))
    return ray, face


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
