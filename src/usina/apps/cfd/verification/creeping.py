"""What bed-flow-lbm stands on: the lattice in flows that are known exactly, or to four digits."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np

from usina.apps.cfd.correlation import Bed, eisfeld_schnitzlein_resistance
from usina.apps.cfd.lattice.domain import connect
from usina.apps.cfd.lattice.known import (
    STOREYS_POROSITY,
    cubic_array,
    drag_of,
    plates,
    storeys,
    tube,
)
from usina.apps.cfd.lattice.stokes import Settling, Stokes, settle
from usina.apps.cfd.lattice.voxel import voxelize
from usina.apps.cfd.plot import Chart, Line
from usina.apps.cfd.verification.part import Part, Row
from usina.imaging.array import Bits

ZICK_HOMSY: Final = {0.125: 4.292, 0.343: 15.4, math.pi / 6: 42.1}
"""The drag on a sphere by the share of the space that the spheres fill."""

_MOST_STEPS = 200_000


def _steady(fluid: Bits, tolerance: float, viscosity: float = 0.5) -> Stokes:
    flow = Stokes(connect(fluid, "periodic"), 2, viscosity)
    if not settle(flow, Settling(), tolerance=tolerance, most_steps=_MOST_STEPS):
        raise RuntimeError("The flow did not get steady.")
    return flow


def _plates(gap: int) -> Row:
    """The largest deviation of any node from the parabola, as a share that has to be nothing."""
    place = np.arange(0.5, gap)
    exact = place * (gap - place) / 2
    speed = _steady(plates(gap), 1e-13).mobility()[2].reshape(-1, gap)
    worst = float(np.abs(speed / exact - 1).max())
    return Row(f"{gap} apart", 1 + worst, 1.0, 1e-9)


def _tube(diameter: int) -> Row:
    flow = _steady(tube(diameter), 1e-7)
    exact = math.pi * (diameter / 2) ** 4 / 8
    tolerance = 0.01 if diameter >= 32 else None
    return Row(
        f"{diameter} voxels",
        float(flow.mobility()[2].sum()) / exact,
        1.0,
        tolerance,
        {"voxels": diameter},
    )


def _array(solid: float, side: int) -> Row:
    flow = _steady(cubic_array(side, solid), 1e-5)
    expected = ZICK_HOMSY[solid]
    tolerance = 0.03 if side >= 48 else None
    name = "touching" if solid > 0.5 else f"solid share {solid:g}"
    return Row(
        f"{name}, cell of {side}",
        drag_of(flow, side, solid),
        expected,
        tolerance,
        {"voxels": side, "solid": solid},
    )


def _regular(resolution: int) -> Row:
    grid = voxelize(storeys(2, 1.0), 3.0, 0.0, 2.0, 1 / resolution)
    flow = _steady(grid.fluid, 1e-5, 1 / 12)
    area = math.pi / 4 * (3 * resolution) ** 2 * grid.fluid.shape[0]
    permeability = float(flow.mobility()[2].sum()) / area / resolution**2
    resistance = eisfeld_schnitzlein_resistance(Bed(STOREYS_POROSITY, 1.0, 3.0))
    return Row(
        f"{resolution} voxels",
        permeability,
        resistance.permeability_m2,
        0.25,
        {"voxels": resolution},
        {"fluid nodes": len(flow.domain.nodes)},
    )


def _arrays_chart(rows: Sequence[Row]) -> Chart:
    lines: list[Line] = []
    for solid in ZICK_HOMSY:
        mine = sorted(
            (row.at["voxels"], row.deviation or 0.0) for row in rows if row.at["solid"] == solid
        )
        if mine:
            voxels, off = zip(*mine, strict=True)
            share = "touching spheres" if solid > 0.5 else f"solid share {solid:g}"
            lines.append(Line(voxels, [100 * each for each in off], share))
    return Chart(
        "Simple cubic arrays against Zick and Homsy",
        "voxels along a cell",
        "deviation of the drag in %",
        lines,
    )


def _regular_chart(rows: Sequence[Row]) -> Chart:
    mine = sorted((row.at["voxels"], row.computed, row.expected or 0.0) for row in rows)
    voxels, computed, expected = zip(*mine, strict=True)
    return Chart(
        "Permeability by resolution",
        "voxels across a particle",
        "permeability over the particle diameter squared",
        (
            Line(voxels, computed, "computed"),
            Line(voxels, expected, "Eisfeld and Schnitzlein", "dashed"),
        ),
    )


def _cases(make: Callable[[int], Row], sizes: Sequence[int]) -> dict[str, Callable[[], Row]]:
    return {str(size): partial(make, size) for size in sizes}


PARTS: Final = (
    Part(
        "plates",
        "Between two plates",
        "Poiseuille's parabola has to be met at every node, since with the magic parameter 3/16 "
        "the walls lie exactly half-way. Shown is one plus the largest relative deviation of any "
        "node.",
        "Ginzburg and d'Humieres, Physical Review E 68 (2003) 066614",
        "1 + worst deviation",
        _cases(_plates, (1, 4, 9, 25)),
    ),
    Part(
        "tube",
        "In a round tube",
        "The flow through a round tube over that of Hagen and Poiseuille. What is off is how a "
        "staircase of voxels stands for a circle.",
        "Hagen (1839), Poiseuille (1840)",
        "flow / exact",
        _cases(_tube, (8, 16, 32, 64)),
    ),
    Part(
        "arrays",
        "Simple cubic arrays of spheres",
        "The drag on a sphere over that on a lone one in the same mean flow. The deviation is not "
        "smooth, since how many voxels a sphere gets is not.",
        "Zick and Homsy, Journal of Fluid Mechanics 115 (1982) 13-26",
        "drag",
        {
            f"{solid:.3f}-{side}": partial(_array, solid, side)
            for solid in ZICK_HOMSY
            for side in (16, 24, 32, 48)
        },
        _arrays_chart,
    ),
    Part(
        "regular",
        "A regular bed in a tube of three particle diameters, by resolution",
        "Seven spheres on each storey, porosity 0.4815 exactly. That it comes near the correlation "
        "says little, since no regular bed is a random one; that the value settles with the "
        "resolution is what this part is for.",
        "Eisfeld and Schnitzlein, Chemical Engineering Science 56 (2001) 4321-4329",
        "permeability / d²",
        _cases(_regular, (8, 12, 16, 24, 32)),
        _regular_chart,
    ),
)
