"""Simulations wait for their bed, run, fail, are cancelled; sweeps of them end in a table."""

import csv
import io
from pathlib import Path

import pytest

from tests.cfd.beds.conftest import GRID, V1, Lab
from tests.http.conftest import Running
from usina_client import AsyncClient, JobStatus

pytestmark = pytest.mark.asyncio(loop_scope="session")
FIGURES = {
    *("velocity_m_s", "reynolds", "pressure_drop_pa", "pressure_gradient_pa_m", "ergun_pa_m"),
    *("eisfeld_schnitzlein_pa_m", "porosity_geometry", "porosity_mesh", "cells", "gates"),
}


async def test_a_list_of_velocities_is_one_job(lab: Lab) -> None:
    bed = await lab.ready(particle_count=90, cfd={"fluid_density_kg_m3": 998.0})
    asked = {"velocity_m_s": [0.1, 0.2], "fluid": {"viscosity_pa_s": 1e-3}}
    simulation = await lab.simulation(bed, **asked, mesh={"cells_per_diameter": 10})
    assert (simulation["status"], simulation["results"]) == ("QUEUED", [])

    done = await lab.simulated(simulation)
    assert (done["status"], done["progress"], done["error"]) == ("SUCCEEDED", 1.0, None)
    assert [result["velocity_m_s"] for result in done["results"]] == [0.1, 0.2]
    assert all(result.keys() == FIGURES for result in done["results"])
    assert done["fluid"] == {"density_kg_m3": 998.0, "viscosity_pa_s": 1e-3}
    assert (done["mesh"], done["residuals"]["p"][-1]) == ({"cells_per_diameter": 10}, 1e-6)
    assert {artifact["name"] for artifact in done["artifacts"]} >= {"report.json"}
    assert abs(done["results"][0]["porosity_geometry"] - bed["porosity"]) < 1e-9
    job = await lab.see(f"/jobs/{done['job_id']}")
    assert job["params"]["diameter_m"] == bed["diameter_m"]
    assert (await lab.see(f"/simulations?bed={bed['id']}"))["items"] == [done]
    assert (await lab.see("/simulations?bed=x"))["items"] == []


async def test_a_simulation_waits_for_its_bed(lab: Lab, running: Running) -> None:
    queues = running.platform.queues
    await queues.pause("default")
    try:
        bed = await lab.bed(particle_count=91)
        simulation = await lab.simulation(bed)
        dropped = await lab.simulation(bed, velocity_m_s=0.3)
        path = f"{V1}/simulations/{dropped['id']}/cancel"
        answers = [await lab.post(path) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 200]
        assert answers[0].json()["status"] == "CANCELLED"
        waiting = await lab.see(f"/simulations/{simulation['id']}")
        assert (waiting["status"], waiting["job_id"]) == ("QUEUED", None)
    finally:
        await queues.resume("default")
    assert (await lab.simulated(simulation))["status"] == "SUCCEEDED"


async def test_a_bed_that_failed_takes_its_simulations_along(lab: Lab, running: Running) -> None:
    await running.platform.queues.pause("default")
    try:
        bed = await lab.bed(seed=13)
        simulation = await lab.simulation(bed)
    finally:
        await running.platform.queues.resume("default")
    ended = await lab.simulated(simulation)
    assert (ended["status"], ended["error"]["reason"]) == ("FAILED", "bed_failed")
    refused = await lab.post(f"{V1}/beds/{bed['id']}/simulations", json={"solver": "flow-v1"})
    assert (refused.status_code, refused.json()["code"]) == (409, "bed_failed")


async def test_a_running_simulation_is_cancelled(lab: Lab) -> None:
    bed = await lab.ready(particle_count=92)
    simulation = await lab.simulation(bed, velocity_m_s=88)
    answer = await lab.post(f"{V1}/simulations/{simulation['id']}/cancel")
    assert answer.status_code == 202
    assert (await lab.simulated(simulation))["status"] == "CANCELLED"


async def test_a_sweep_ends_in_a_table_that_hides_no_failure(lab: Lab) -> None:
    wanted = {
        "name": "sizes",
        "bed": {name: value for name, value in GRID.items() if name != "name"},
        "over": {"particle_diameter_m": [0.005, 0.004], "velocity_m_s": [0.1, 0.2, 99]},
        "solver": "flow-v1",
    }
    answer = await lab.post(f"{V1}/simulations/sweeps", json=wanted)
    assert answer.status_code == 202, answer.text
    sweep = answer.json()
    assert answer.headers["location"] == f"{V1}/simulations/sweeps/{sweep['id']}"
    assert (sweep["status"], sweep["counts"]["QUEUED"]) == ("QUEUED", 6)
    assert len((await lab.see("/beds"))["items"]) == 2

    done = await lab.swept(sweep)
    assert (done["status"], done["progress"]) == ("SUCCEEDED", 1.0)
    assert (done["counts"]["SUCCEEDED"], done["counts"]["FAILED"]) == (4, 2)
    files = {artifact["name"]: artifact for artifact in done["artifacts"]}
    assert files.keys() >= {"table.csv", "table.json", "plot.png"}
    assert files["plot.png"]["media_type"] == "image/png"
    rows = list(csv.DictReader(io.StringIO((await lab.client.get(files["table.csv"]["url"])).text)))
    assert [row["status"] for row in rows].count("FAILED") == 2
    assert {row["error"] for row in rows if row["status"] == "FAILED"} == {
        "diverged: The residuals grow."
    }
    table = (await lab.client.get(files["table.json"]["url"])).json()["rows"]
    for row, simulation in zip(table, done["simulations"], strict=True):
        told = simulation["results"][0]["ergun_pa_m"] if simulation["results"] else None
        assert (row["simulation_id"], row.get("ergun_pa_m")) == (simulation["id"], told)
    listed = (await lab.see("/simulations/sweeps"))["items"]
    assert [each["id"] for each in listed] == [sweep["id"]]

    for bed in {simulation["bed_id"] for simulation in done["simulations"]}:
        assert (await lab("DELETE", f"{V1}/beds/{bed}")).status_code == 204
    assert lab.objects() == []
    assert (await lab.get(f"{V1}/simulations/sweeps/{sweep['id']}")).status_code == 404


async def test_the_client_follows_a_sweep_to_its_table(lab: Lab, tmp_path: Path) -> None:
    async with AsyncClient(str(lab.client.base_url), lab.key) as usina:
        sweep = await usina.sweeps.create(
            {"seed": [1, 2]},
            bed={name: value for name, value in GRID.items() if name != "name"},
            solver="flow-v1",
            velocity_m_s=[0.1, 0.2],
        )
        assert (sweep.name, sweep.over, sweep.terminal) == ("sweep", {"seed": [1, 2]}, False)
        seen = [now async for now in usina.sweeps.watch(sweep.id, every_seconds=0.05)]
        assert (seen[-1].status, seen[-1].counts["SUCCEEDED"]) == (JobStatus.SUCCEEDED, 2)
        assert [len(each.results) for each in seen[-1].simulations] == [2, 2]
        assert [each.over for each in seen[-1].simulations] == [{"seed": 1}, {"seed": 2}]
        [table] = (each for each in seen[-1].artifacts if each.name == "table.csv")
        path = await usina.artifacts.download(table, tmp_path)
        assert len(path.read_text().splitlines()) == 5
        assert [each.id async for each in usina.sweeps.list()] == [sweep.id]
        assert {each.sweep_id async for each in usina.simulations.list(sweep=sweep.id)} == {
            sweep.id
        }
        assert (await usina.sweeps.cancel(sweep.id)).status is JobStatus.SUCCEEDED


async def test_a_cancelled_sweep_stops_whatever_it_has_begun(lab: Lab) -> None:
    wanted = {
        "bed": {"generator": "spheres-v1"},
        "over": {"velocity_m_s": [88, 88.5], "seed": [1, 7]},
        "solver": "flow-v1",
    }
    sweep = (await lab.post(f"{V1}/simulations/sweeps", json=wanted)).json()
    path = f"{V1}/simulations/sweeps/{sweep['id']}/cancel"
    answers = [await lab.post(path) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 200]
    ended = await lab.swept(sweep)
    assert (ended["status"], ended["artifacts"]) == ("CANCELLED", [])
    assert ended["counts"]["CANCELLED"] + ended["counts"]["SUCCEEDED"] == 4
    for bed in {simulation["bed_id"] for simulation in ended["simulations"]}:
        assert (await lab("DELETE", f"{V1}/beds/{bed}")).status_code == 204
