"""How thick a body is, and how narrow its gaps are, by rays from places on its surface."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from usina.apps.threed.mesh import Mesh, face_areas, face_normals
from usina.apps.threed.printing.ray import first_hits
from usina.imaging.array import Bits, Field

_SEEDS = 512
_OPPOSITE = np.cos(np.radians(45))
"""Two sides make a wall or a gap when they face each other within 45 degrees: a box is no thinner
at its edges, a blade is."""


@dataclass(frozen=True, slots=True)
class Walls:
    """At places on the surface how thick the wall under each is and how wide the gap over it,
    infinite where nothing stands opposite; ``share`` is the part of the surface that each place
    stands for. In the unit of the mesh."""

    thickness: Field
    gap: Field
    share: Field

    def thinner_than(self, limit: float) -> float:
        """The share of the surface whose wall is thinner."""
        return float(self.share[self.thickness < limit].sum())


def measure_walls(mesh: Mesh, between: Callable[[], None]) -> Walls:
    """Half of the places are spread by area and half by triangle, since there are more where it
    is finer; from each a ray goes straight in and one straight out. The same mesh gives the same
    places."""
    corner, normals = mesh.points[mesh.faces], face_normals(mesh)
    area = face_areas(mesh)
    area /= area.sum()
    chance = (area + (area > 0) / (area > 0).sum()) / 2
    random = np.random.default_rng(0)
    face = random.choice(len(area), size=_SEEDS, p=chance)
    share = area[face] / chance[face]
    at = (corner[face] * random.dirichlet((1, 1, 1), size=_SEEDS)[..., None]).sum(axis=1)
    inwards = -normals[face]
    both = first_hits(mesh, np.tile(at, (2, 1)), np.concatenate([inwards, -inwards]), between)
    facing = (normals[both[1]] * np.concatenate([inwards, inwards])).sum(axis=1)
    width = np.where(_opposite(facing, both[1] >= 0), both[0], np.inf)
    return Walls(width[:_SEEDS], width[_SEEDS:], share / share.sum())


def _opposite(facing: Field, met: Bits) -> Bits:
    return met & (facing >= _OPPOSITE)
