"""A bed as voxels: fluid where the middle of one lies in the tube and in no particle."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from usina.apps.cfd.particles import Particles, Shape
from usina.imaging.array import Bits, Field, Indices

_RIM: Final = 2


@dataclass(frozen=True, slots=True)
class Grid:
    """``fluid`` ``(z, y, x)``: voxels with edges of ``voxel_m``, the tube's axis in the middle of
    x and y, the first layer's lower face at ``low_m``. Its rim along x and y is solid."""

    fluid: Bits
    voxel_m: float
    low_m: float

    @property
    def high_m(self) -> float:
        return self.low_m + self.voxel_m * self.fluid.shape[0]

    def heights(self) -> Field:
        """``(z,)``: of the middles of the layers, in metres."""
        return self.low_m + self.voxel_m * np.arange(0.5, self.fluid.shape[0])

    def across(self) -> Field:
        """``(x,)``: of the middles of the columns from the axis, in metres; along y the same."""
        side = self.fluid.shape[2]
        return self.voxel_m * (np.arange(0.5, side) - side / 2)

    def from_axis(self) -> Field:
        """``(y, x)``: how far from the axis, in metres."""
        return np.hypot(self.across()[:, None], self.across()[None, :])


def box_of(diameter_m: float, low_m: float, high_m: float, voxel_m: float) -> tuple[int, int, int]:
    """The voxels (z, y, x) of a piece of the tube, its solid rim included."""
    side = int(np.ceil(diameter_m / voxel_m - 1e-9)) + _RIM
    return max(1, round((high_m - low_m) / voxel_m)), side, side


def voxelize(
    particles: Particles,
    diameter_m: float,
    low_m: float,
    high_m: float,
    voxel_m: float,
    between: Callable[[], None] = lambda: None,
) -> Grid:
    """The tube between two heights, to the nearest whole voxel of its length."""
    shape = box_of(diameter_m, low_m, high_m, voxel_m)
    grid = Grid(np.ones(shape, dtype=bool), voxel_m, low_m)
    grid.fluid[:] = grid.from_axis() < diameter_m / 2
    origin = np.array([grid.across()[0], grid.across()[0], low_m + voxel_m / 2])
    reach = particles.shape.reach_m
    inside = _test(particles.shape)
    for centre, rotation in zip(particles.centres, particles.rotations(), strict=True):
        first = np.ceil((centre - reach - origin) / voxel_m).astype(int)
        last = np.floor((centre + reach - origin) / voxel_m).astype(int) + 1
        first, last = np.maximum(first, 0), np.minimum(last, shape[::-1])
        if (first >= last).any():
            continue
        away = origin - centre + voxel_m * _corners(first, last)
        solid = inside(away @ rotation)
        grid.fluid[tuple(slice(*ends) for ends in zip(first, last, strict=True))[::-1]] &= ~solid
        between()
    return grid


def _corners(first: Indices, last: Indices) -> Field:
    """``(z, y, x, 3)``: the numbers x, y, z of the voxels between two corners."""
    x, y, z = (
        np.arange(one, other, dtype=np.float64) for one, other in zip(first, last, strict=True)
    )
    return np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).swapaxes(0, 2)


def _test(shape: Shape) -> Callable[[Field], Bits]:
    """Whether points ``(..., 3)`` in a particle's own axes lie in it."""
    half, length, bore = shape.diameter_m / 2, shape.length_m / 2, shape.inner_diameter_m / 2

    def sphere(at: Field) -> Bits:
        return (at**2).sum(axis=-1) < half**2

    def cube(at: Field) -> Bits:
        return np.abs(at).max(axis=-1) < half

    def tube(at: Field) -> Bits:
        away = at[..., 0] ** 2 + at[..., 1] ** 2
        return (np.abs(at[..., 2]) < length) & (away < half**2) & (away >= bore**2)

    return {"sphere": sphere, "cube": cube, "cylinder": tube, "ring": tube}[shape.kind]
