"""OpenFOAM, as bed-flow-openfoam sets it, in a tube without a bed."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from usina.apps.cfd.foam.case import Control, write_case, write_control
from usina.apps.cfd.foam.field import read_cells, read_pressure, slope_of
from usina.apps.cfd.foam.installation import find_installation
from usina.apps.cfd.foam.layout import Grid, Layout
from usina.apps.cfd.foam.mesh import begin_fields, make_mesh
from usina.apps.cfd.foam.option import Fluid, MeshOption
from usina.apps.cfd.foam.workshop import Workshop
from usina.apps.cfd.verification.part import Part, Row

RADIUS: Final = 0.01
LENGTH: Final = 0.06
VELOCITY: Final = 0.01
FLUID: Final = Fluid(1000.0, 0.02)
_ITERATIONS: Final = 150


def layout_of(across: int) -> Layout:
    """A tube of water twenty times as viscous; Re 10, developed within a diameter."""
    return Layout(
        option=MeshOption(),
        diameter_m=2 * RADIUS,
        told_diameter=True,
        particle_m=RADIUS,
        top_m=LENGTH,
        low_m=0.0,
        high_m=LENGTH,
        core_low_m=LENGTH / 2,
        core_high_m=LENGTH,
        has_core=True,
        porosity=1.0,
        grid=Grid(across, across * 3 // 5, 24),
        estimated_cells=0,
    )


def _tube(across: int) -> Row:
    with TemporaryDirectory(prefix="verification-") as home:
        folder = Path(home)
        shop = Workshop(folder, find_installation(), 600, lambda: None)
        write_case(folder, layout_of(across), FLUID, VELOCITY)
        quality = make_mesh(shop, 1, empty=True, tell=lambda share: None)
        begin_fields(shop, 1)
        write_control(folder, Control(_ITERATIONS))
        shop.run("simpleFoam", reason="solver_failed")
        pressure = read_pressure([folder / str(_ITERATIONS)])
        slope = slope_of(
            read_cells([folder / "0"]), pressure, layout_of(across), FLUID.density_kg_m3
        )
    exact = 8 * FLUID.viscosity_pa_s * VELOCITY / RADIUS**2
    return Row(
        f"square of {across} cells",
        slope.gradient_pa_m,
        exact,
        0.01 if across >= 10 else None,
        more={"cells": quality.cells},
    )


PARTS: Final = (
    Part(
        "empty",
        "OpenFOAM in an empty tube",
        "The same meshing, schemes and reading of the pressure as for a bed, in a tube without "
        "one. The mesh has a square in its middle and rings around it.",
        "Hagen (1839), Poiseuille (1840)",
        "Pa/m",
        {str(across): partial(_tube, across) for across in (6, 10, 14)},
    ),
)
