"""The whole way with the real programs: spheres are packed, and air creeps through them."""

import pytest

from tests.cfd.beds.conftest import Lab

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(110)]


@pytest.mark.parametrize("running", ["embedded"], indirect=True, scope="session")
async def test_spheres_are_packed_and_air_flows_through_them(lab: Lab) -> None:
    bed = await lab.bed(
        generator="packed-bed-v1",
        diameter_m=0.03,
        height_m=0.08,
        particle_diameter_m=0.01,
        particle_count=60,
    )
    simulation = await lab.simulation(
        bed,
        solver="bed-flow-lbm",
        velocity_m_s=0.001,
        mesh={"resolution": 8, "length_diameters": 2},
    )
    done = await lab.simulated(simulation)
    assert done["status"] == "SUCCEEDED", done["error"]
    (result,) = done["results"]
    packed = await lab.see(f"/beds/{bed['id']}")
    assert 0.4 < packed["porosity"] < 0.65
    assert result["porosity_geometry"] == pytest.approx(packed["porosity"], abs=0.1)
    assert 0.3 < result["pressure_gradient_pa_m"] / result["ergun_pa_m"] < 3
    assert {"bed.stl", "bed.glb", "particles.csv", "preview.png"} <= (await lab.files(bed)).keys()
    assert any(artifact["media_type"] == "image/png" for artifact in done["artifacts"])
