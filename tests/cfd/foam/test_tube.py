"""OpenFOAM, as it is set here, in a tube without a bed: Hagen and Poiseuille, to one per cent."""

import math
from pathlib import Path

import pytest

from tests.cfd.foam.program import workshop
from usina.apps.cfd.foam.case import Control, write_case, write_control
from usina.apps.cfd.foam.field import read_cells, read_pressure, slope_of
from usina.apps.cfd.foam.layout import Grid, Layout
from usina.apps.cfd.foam.log import Monitor
from usina.apps.cfd.foam.mesh import make_mesh
from usina.apps.cfd.foam.option import Fluid, MeshOption

RADIUS, LENGTH, VELOCITY = 0.01, 0.06, 0.01
WATER = Fluid(1000.0, 0.02)
"""So viscous that the profile is developed within a diameter: Re 10."""


def test_an_empty_tube_agrees_with_hagen_and_poiseuille(tmp_path: Path) -> None:
    layout = Layout(
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
        grid=Grid(10, 6, 24),
        estimated_cells=0,
    )
    shop = workshop(tmp_path / "case")
    write_case(shop.folder, layout, WATER, VELOCITY)
    quality = make_mesh(shop, 1, empty=True, tell=lambda share: None)
    write_control(shop.folder, Control(150))
    monitor = Monitor(VELOCITY**2)
    shop.run("simpleFoam", reason="solver_failed", hear=monitor.hear)

    cells = read_cells([shop.folder / "0"])
    slope = slope_of(cells, read_pressure([shop.folder / "150"]), layout, WATER.density_kg_m3)

    exact = 8 * WATER.viscosity_pa_s * VELOCITY / RADIUS**2
    assert slope.gradient_pa_m == pytest.approx(exact, rel=0.01)
    assert slope.fit > 0.9999
    assert slope.porosity == pytest.approx(1, abs=1e-3)
    assert cells.volumes_m3.sum() == pytest.approx(math.pi * RADIUS**2 * LENGTH, rel=1e-3)
    assert quality.cells == layout.grid.cells == len(cells.volumes_m3)
    assert monitor.imbalance(30) == pytest.approx(0, abs=1e-6)
