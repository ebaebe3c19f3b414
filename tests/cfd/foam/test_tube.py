"""OpenFOAM, as it is set here, in a tube without a bed: Hagen and Poiseuille, to one per cent."""

import math
from pathlib import Path

import pytest

from tests.cfd.foam.program import workshop
from usina.apps.cfd.foam.case import Control, write_case, write_control
from usina.apps.cfd.foam.field import read_cells, read_pressure, slope_of
from usina.apps.cfd.foam.log import Monitor
from usina.apps.cfd.foam.mesh import begin_fields, make_mesh
from usina.apps.cfd.verification.empty import FLUID, LENGTH, RADIUS, VELOCITY, layout_of


def test_an_empty_tube_agrees_with_hagen_and_poiseuille(tmp_path: Path) -> None:
    layout = layout_of(10)
    shop = workshop(tmp_path / "case")
    write_case(shop.folder, layout, FLUID, VELOCITY)
    quality = make_mesh(shop, 1, empty=True, tell=lambda share: None)
    begin_fields(shop, 1)
    write_control(shop.folder, Control(150))
    monitor = Monitor(VELOCITY**2)
    shop.run("simpleFoam", reason="solver_failed", hear=monitor.hear)

    cells = read_cells([shop.folder / "0"])
    slope = slope_of(cells, read_pressure([shop.folder / "150"]), layout, FLUID.density_kg_m3)

    exact = 8 * FLUID.viscosity_pa_s * VELOCITY / RADIUS**2
    assert slope.gradient_pa_m == pytest.approx(exact, rel=0.01)
    assert slope.fit > 0.9999
    assert slope.porosity == pytest.approx(1, abs=1e-3)
    assert cells.volumes_m3.sum() == pytest.approx(math.pi * RADIUS**2 * LENGTH, rel=1e-3)
    assert quality.cells == layout.grid.cells == len(cells.volumes_m3)
    assert monitor.imbalance(30) == pytest.approx(0, abs=1e-6)
