"""The whole way with the real programs: spheres are packed, and air creeps through them."""

from typing import Any

import pytest

from tests.cfd.beds.conftest import V1, Lab

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
    await what_is_solved_is_seen_while_it_is_and_where_it_was_stopped(lab, bed)
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
    assert done["solving"] is None
    assert done["residuals"]["flow"][-1] <= 1e-4 < done["residuals"]["flow"][5]
    assert len(done["residuals"]["iteration"]) == len(done["residuals"]["flow"])


async def what_is_solved_is_seen_while_it_is_and_where_it_was_stopped(
    lab: Lab, bed: dict[str, Any]
) -> None:
    simulation = await lab.simulation(
        bed,
        solver="bed-flow-lbm",
        velocity_m_s=[0.002, 0.001],
        mesh={"resolution": 24, "length_diameters": 8, "tolerance": 1e-7},
    )
    assert (simulation["solving"], simulation["residuals"]) == (None, None)
    path = f"/simulations/{simulation['id']}"
    seen = await lab.until(path, lambda now: now["residuals"] is not None)
    assert (seen["status"], seen["results"]) == ("RUNNING", [])
    assert 0 < seen["residuals"]["flow"][0] <= 1
    assert seen["residuals"]["iteration"] == [seen["solving"]["iteration"]]
    assert seen["solving"]["velocity_m_s"] == 0.002
    assert seen["solving"]["pressure_drop_pa"] > 0
    await lab.post(f"{V1}{path}/cancel")
    stopped = await lab.simulated(simulation)
    assert stopped["status"] == "CANCELLED"
    assert stopped["solving"]["iteration"] >= seen["solving"]["iteration"]
