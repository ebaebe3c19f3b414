"""Who touches whom, and by how much anybody overlaps."""

from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs]

from usina.apps.cfd.particles import Particles
from usina.apps.cfd.porosity import tube_around
from usina.imaging.array import Field, Indices

GAP: Final = 0.01
"""How far apart, in particle diameters, two particles may be that count as touching."""

_tree = cast("Any", KDTree)


@dataclass(frozen=True, slots=True)
class Contacts:
    """``numbers`` ``(n,)``: how many others each particle touches, null for shapes whose contacts
    are not counted; ``overlap`` and ``wall_overlap``: the deepest that two particles, or one and
    the wall or the floor, reach into each other, in particle diameters."""

    numbers: Indices | None
    overlap: float
    wall_overlap: float

    @property
    def mean(self) -> float | None:
        return None if self.numbers is None else float(self.numbers.mean())


def contacts(particles: Particles, diameter_m: float) -> Contacts:
    """Of a bed in its tube."""
    across = particles.shape.diameter_m
    out = (tube_around(particles) - diameter_m) / 2
    below = -float((particles.centres[:, 2] - particles.extents()[:, 0]).min())
    wall = max(out, below, 0.0) / across
    if particles.shape.kind != "sphere":
        return Contacts(None, _overlap_of_shapes(particles), wall)
    apart, pairs = _pairs(particles.centres / across, 1 + GAP)
    numbers = np.bincount(pairs.ravel(), minlength=len(particles))
    return Contacts(numbers, max(0.0, 1 - float(apart.min(initial=1.0))), wall)


def _pairs(centres: Field, reach: float) -> tuple[Field, Indices]:
    """How far apart, and which, the pairs ``(k, 2)`` are that are nearer than ``reach``."""
    pairs: Indices = _tree(centres).query_pairs(reach, output_type="ndarray").reshape(-1, 2)
    apart = np.linalg.norm(centres[pairs[:, 0]] - centres[pairs[:, 1]], axis=1)
    return apart, pairs


def _overlap_of_shapes(particles: Particles) -> float:
    """The deepest that a point of one's surface lies in another, in particle diameters."""
    from usina.apps.cfd.packing.inside import depth, skin

    across = particles.shape.diameter_m
    _, pairs = _pairs(particles.centres, 2 * particles.shape.reach_m)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    turns, points = particles.rotations(), skin(particles.shape)
    deepest = 0.0
    for part in np.array_split(both, max(1, len(both) // 2000)):
        of, into = part.T
        there = np.einsum("kij,pj->kpi", turns[of], points)
        there += (particles.centres[of] - particles.centres[into])[:, None]
        local = np.einsum("kji,kpj->kpi", turns[into], there)
        deepest = max(deepest, float(depth(particles.shape, local).max(initial=0.0)))
    return deepest / across
