"""Simulations that agree in their mesh have one: made once, waited for, given to each, gone with
the last bed that has it."""

import asyncio
from typing import Any

import pytest

from tests.cfd.beds.conftest import GRID, V1, Lab
from tests.http.conftest import Running
from usina.apps.cfd.simulation.start import start_simulations

pytestmark = pytest.mark.asyncio(loop_scope="session")
SOLVER = "meshed-flow-v1"


async def jobs_of(lab: Lab, model: str) -> list[dict[str, Any]]:
    return (await lab.see(f"/jobs?model={model}"))["items"]


async def until_it_has(lab: Lab, simulation: dict[str, Any], key: str) -> dict[str, Any]:
    """Once the beat has given the simulation a value there."""
    path = f"/simulations/{simulation['id']}"
    with lab.platform.bus.listen(lab.caller.organization_id) as listener:
        async with asyncio.timeout(50):
            while not (now := await lab.see(path))[key]:
                await listener.wait(1.0)
    return now


async def test_a_sweep_over_velocities_of_one_bed_meshes_once(lab: Lab, running: Running) -> None:
    """While the mesh is made all of them wait, and tell so; a diverging one costs no other its
    mesh."""
    wanted = {
        "bed": {name: value for name, value in GRID.items() if name != "name"},
        "over": {"velocity_m_s": [99, 0.1, 0.2]},
        "solver": SOLVER,
    }
    sweep = (await lab.post(f"{V1}/simulations/sweeps", json=wanted)).json()
    done = await lab.swept(sweep)

    meshes = await jobs_of(lab, "mesher-v1")
    assert len(meshes) == 1
    assert meshes[0]["status"] == "SUCCEEDED"
    assert (done["counts"]["SUCCEEDED"], done["counts"]["FAILED"]) == (2, 1)
    assert {each["mesh_job_id"] for each in done["simulations"]} == {meshes[0]["id"]}
    given = {(await lab.see(f"/jobs/{s['job_id']}"))["inputs"]["mesh"] for s in done["simulations"]}
    assert given == {meshes[0]["artifacts"][0]["id"]}

    bed = done["simulations"][0]["bed_id"]
    assert (await lab("DELETE", f"{V1}/beds/{bed}")).status_code == 204
    assert lab.objects() == []
    assert await lab.is_gone(meshes[0]["id"])


async def test_the_same_mesh_asked_for_in_other_words_is_the_same(lab: Lab) -> None:
    """Two beds with the same bytes, the defaults said and unsaid; another parameter is another."""
    first, second = await lab.ready(particle_count=50), await lab.ready(particle_count=50)
    ended = [
        await lab.simulated(await lab.simulation(bed, solver=SOLVER, **more))
        for bed, more in (
            (first, {}),
            (second, {"mesh": {"cells_per_diameter": 8}, "velocity_m_s": 0.3}),
            (second, {"mesh": {"cells_per_diameter": 9}}),
        )
    ]
    assert [each["status"] for each in ended] == ["SUCCEEDED"] * 3
    assert ended[0]["mesh_job_id"] == ended[1]["mesh_job_id"] != ended[2]["mesh_job_id"]
    assert ended[1]["residuals"] == {"cells": 8, "made_by": ended[0]["mesh_job_id"]}
    assert ended[2]["residuals"]["cells"] == 9

    assert (await lab("DELETE", f"{V1}/beds/{first['id']}")).status_code == 204
    assert not await lab.is_gone(ended[0]["mesh_job_id"]), "it goes with the last that has it"
    again = await lab.simulated(await lab.simulation(second, solver=SOLVER, velocity_m_s=0.4))
    assert again["mesh_job_id"] == ended[0]["mesh_job_id"]
    assert (await lab("DELETE", f"{V1}/beds/{second['id']}")).status_code == 204
    assert lab.objects() == []
    assert (await lab.see("/jobs"))["items"] == []


async def test_no_mesh_goes_to_another_organization(lab: Lab, rival: Lab) -> None:
    made = [
        await one.simulated(await one.simulation(await one.ready(particle_count=51), solver=SOLVER))
        for one in (lab, rival)
    ]
    assert made[0]["mesh_job_id"] != made[1]["mesh_job_id"]
    assert made[1]["status"] == "SUCCEEDED"


async def test_a_mesh_that_can_not_be_made_ends_who_waits_and_is_tried_anew_when_asked(
    lab: Lab,
) -> None:
    bed = await lab.ready(particle_count=52)
    for _ in range(2):
        wanted = await lab.simulation(bed, solver=SOLVER, mesh={"cells_per_diameter": 64})
        ended = await lab.simulated(wanted)
        assert (ended["status"], ended["error"]["reason"]) == ("FAILED", "mesh_failed")
        assert ended["error"]["message"].endswith("A cell is inside out.")
        assert ended["job_id"] is None
    assert len(await jobs_of(lab, "mesher-v1")) == 2


async def test_a_mesh_that_nobody_waits_for_any_more_is_stopped(lab: Lab) -> None:
    bed = await lab.ready(particle_count=53)
    slow = {"solver": SOLVER, "mesh": {"cells_per_diameter": 63}}
    first = await until_it_has(lab, await lab.simulation(bed, **slow), "mesh_job_id")
    second = await lab.simulation(bed, **slow, velocity_m_s=0.2)
    second = await until_it_has(lab, second, "mesh_job_id")
    assert first["mesh_job_id"] == second["mesh_job_id"]
    assert (first["job_id"], first["stage"]) == (None, "waiting for its mesh")

    await lab.post(f"{V1}/simulations/{first['id']}/cancel")
    job = await lab.see(f"/jobs/{first['mesh_job_id']}")
    assert job["cancel_requested_at"] is None, "another waits for it"
    await lab.post(f"{V1}/simulations/{second['id']}/cancel")
    assert (await lab.ended(first["mesh_job_id"]))["status"] == "CANCELLED"


async def test_who_waits_for_the_mesh_of_a_bed_that_goes_has_one_of_its_own(lab: Lab) -> None:
    first, second = await lab.ready(particle_count=54), await lab.ready(particle_count=54)
    slow = {"solver": SOLVER, "mesh": {"cells_per_diameter": 63}}
    begun = await until_it_has(lab, await lab.simulation(first, **slow), "mesh_job_id")
    waits = await until_it_has(lab, await lab.simulation(second, **slow), "mesh_job_id")
    assert waits["mesh_job_id"] == begun["mesh_job_id"]

    assert (await lab("DELETE", f"{V1}/beds/{first['id']}")).status_code == 204
    waits = await until_it_has(lab, waits, "mesh_job_id")
    assert waits["mesh_job_id"] != begun["mesh_job_id"]
    assert waits["status"] == "QUEUED"
    assert (await lab("DELETE", f"{V1}/beds/{second['id']}")).status_code == 204
    assert lab.objects() == []
    assert (await lab.see("/jobs"))["items"] == []


async def test_all_who_look_at_once_begin_one_mesh(lab: Lab, running: Running) -> None:
    """As many processes do whose beat falls together."""
    await running.platform.queues.pause("default")
    try:
        bed = await lab.bed(particle_count=55)
        for velocity in (0.1, 0.2, 0.3):
            await lab.simulation(bed, solver=SOLVER, velocity_m_s=velocity)
    finally:
        await running.platform.queues.resume("default")
    await lab.ended(bed["job_id"])
    await asyncio.gather(*(start_simulations(lab.platform) for _ in range(4)))
    assert len(await jobs_of(lab, "mesher-v1")) == 1
    assert (await lab("DELETE", f"{V1}/beds/{bed['id']}")).status_code == 204
