"""How a tube is laid out around a bed and cut into cells: an O-grid of five blocks along z.

The bed stands on z = 0; an empty tube lies before it (below) and behind it (above). Across, a
square with bulged sides lies in the middle and four blocks around it reach the wall.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from usina.apps.cfd.foam.option import MeshOption, Option
from usina.apps.cfd.particles import Particles
from usina.apps.cfd.porosity import porosity_between, top_of, tube_for
from usina_runner import InvalidInput

MOST_CELLS: Final = 1_000_000
"""What the memory of the manifest holds: OpenFOAM's mesher wants some 3.1 kB a cell."""

CORNER: Final = 0.75
"""Where the inner square has its corners, in radii."""
BULGE: Final = 0.62
"""Where the middles of its sides lie."""

_END_DIAMETERS: Final = 1.5
_LEAST_CORE_DIAMETERS: Final = 1.0
_SLACK: Final = 0.02
"""How far, in particle diameters, a simulated packing may reach through its floor."""

_AROUND: Final = 1.4
"""Cells that a halving at a surface makes, over those of one layer."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells along the inner square's side, from it to the wall, and along the tube."""

    across: int
    outward: int
    along: int

    @property
    def cells(self) -> int:
        return self.across * (self.across + 4 * self.outward) * self.along


@dataclass(frozen=True, slots=True)
class Layout:
    """Lengths in metres. Pressures are read between ``core_low_m`` and ``core_high_m``, 1.5
    particle diameters from the ends; ``has_core`` is false for a bed too low for that, and then
    they are its quarter and three quarters."""

    option: MeshOption
    diameter_m: float
    told_diameter: bool
    particle_m: float
    top_m: float
    low_m: float
    high_m: float
    core_low_m: float
    core_high_m: float
    has_core: bool
    porosity: float
    grid: Grid
    estimated_cells: int

    @property
    def radius_m(self) -> float:
        return self.diameter_m / 2

    @property
    def area_m2(self) -> float:
        return math.pi * self.radius_m**2

    @property
    def cells_per_diameter(self) -> float:
        """Of a particle, at its surface: by the mean volume of a cell of the tube."""
        cell = np.cbrt(self.area_m2 * (self.high_m - self.low_m) / self.grid.cells)
        return float(self.particle_m / cell * 2**self.option.surface_level)

    @property
    def inside(self) -> tuple[float, float, float]:
        """A point in the empty tube before the bed that lies on no face of a cell."""
        step = self.particle_m / self.option.cells_per_diameter
        return 0.1310 * step, 0.1770 * step, self.low_m + 0.4371 * step


def lay_out(particles: Particles, option: Option) -> Layout:
    """Raises ``InvalidInput`` for a tube that the particles do not fit, and for a mesh that would
    have more than `MOST_CELLS`."""
    diameter = tube_for(particles, option.diameter_m)
    size = particles.shape.equivalent_diameter_m
    low, top = float((particles.centres[:, 2] - particles.extents()[:, 0]).min()), top_of(particles)
    if low < -_SLACK * size:
        raise InvalidInput(
            "bed_below_floor", f"A particle reaches to z = {low:.6g} m; 0 is the floor."
        )
    begin, end = -option.mesh.inlet_diameters * size, top + option.mesh.outlet_diameters * size
    core, has_core = _core(top, size)
    grid = _grid(diameter, end - begin, size / option.mesh.cells_per_diameter)
    layout = Layout(
        option=option.mesh,
        diameter_m=diameter,
        told_diameter=option.diameter_m is not None,
        particle_m=size,
        top_m=top,
        low_m=begin,
        high_m=end,
        core_low_m=core[0],
        core_high_m=core[1],
        has_core=has_core,
        porosity=_porosity(particles, diameter, core, option.mesh.shrink),
        grid=grid,
        estimated_cells=_estimate(particles, option.mesh, grid),
    )
    return _within_reason(layout)


def _within_reason(layout: Layout) -> Layout:
    if layout.estimated_cells > MOST_CELLS:
        raise InvalidInput(
            "mesh_too_large",
            f"This mesh would have some {layout.estimated_cells:,} cells, at most {MOST_CELLS:,} "
            "are possible: lower mesh.cells_per_diameter or mesh.surface_level, or take a smaller "
            "bed.",
        )
    return layout


def _core(top: float, size: float) -> tuple[tuple[float, float], bool]:
    low, high = _END_DIAMETERS * size, top - _END_DIAMETERS * size
    if high - low >= _LEAST_CORE_DIAMETERS * size:
        return (low, high), True
    return (top / 4, 3 * top / 4), False


def _porosity(
    particles: Particles, diameter: float, core: tuple[float, float], shrink: float
) -> float:
    """Of the core, by geometry. Particles made smaller leave more: between two heights a share
    ``(1 - shrink) ** 3`` of what they filled, but for the parts of them at the two ends."""
    solid = 1 - porosity_between(particles, diameter, *core).value
    return 1 - solid * (1 - shrink) ** 3


def _grid(diameter: float, length: float, step: float) -> Grid:
    """Cells of about ``step`` each way, as many as give a mean volume of no more than its cube."""
    radius = diameter / 2
    return Grid(
        across=max(4, math.ceil(1.35 * radius / step)),
        outward=max(2, math.ceil(0.32 * radius / step)),
        along=max(4, math.ceil(length / step)),
    )


def _estimate(particles: Particles, option: MeshOption, grid: Grid) -> int:
    """Cells of the finished mesh, from those of the tube and a layer around each particle."""
    layer = particles.shape.surface_m2 / particles.shape.equivalent_diameter_m**2
    layer *= option.cells_per_diameter**2
    finer = layer * (4**option.surface_level - 1) * _AROUND
    return grid.cells + round(len(particles) * finer)
