"""A bed from its parameters to its files, changed, shared, deleted."""

from typing import Any

import pytest

from tests.cfd.beds.conftest import GRID, V1, Lab
from usina.apps.cfd.bed.superseding import replace_generations

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_bed_is_made_measured_and_listed(lab: Lab) -> None:
    answer = await lab.post(f"{V1}/beds", json=GRID | {"material": "steel"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"{V1}/beds/{made['id']}"
    assert (made["status"], made["porosity"]) == ("QUEUED", None)
    assert (made["particle_count"], made["material"], made["seed"]) == (60, "steel", 42)

    job = await lab.ended(made["job_id"])
    bed = await lab.see(f"/beds/{made['id']}")
    assert (job["model"], job["params"]["particle_count"]) == ("spheres-v1", 60)
    assert bed["status"] == "SUCCEEDED"
    assert 0.3 < bed["porosity"] == bed["porosity_bulk"] < 0.9
    assert (await lab.see("/beds"))["items"] == [bed]


async def test_what_the_generator_takes_of_the_groups_is_handed_on(lab: Lab) -> None:
    groups: dict[str, Any] = {
        "lids": {"top_type": "flat"},
        "particles": {"friction": 0.25, "density_kg_m3": 2500},
        "packing": {"gravity_m_s2": -9.81},
        "export": {"formats": ["stl", "obj"]},
        "cfd": {"inlet_velocity_m_s": 0.2},
    }
    bed = await lab.bed(**groups)
    for group, fields in groups.items():
        assert bed[group].items() >= fields.items()
    assert (await lab.ended(bed["job_id"]))["params"]["friction"] == 0.25

    refused = await lab.post(f"{V1}/beds", json=GRID | {"particles": {"friction": 5}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/particles/friction"


async def test_only_what_changes_the_geometry_starts_it_anew(lab: Lab) -> None:
    bed = await lab.ready()
    path = f"{V1}/beds/{bed['id']}"
    old = await lab.files(bed)

    renamed = (
        await lab.client.put(path, json={"name": "b"}, headers={"x-api-key": lab.key})
    ).json()
    assert (renamed["name"], renamed["job_id"]) == ("b", bed["job_id"])
    assert renamed["status"] == "SUCCEEDED"

    wider = (await lab("PUT", path, json={"diameter_m": 0.06})).json()
    assert wider["job_id"] != bed["job_id"]
    assert (wider["particle_count"], wider["name"]) == (60, "b")
    await lab.ended(wider["job_id"])
    new = await lab.files(bed)
    assert new["particles.csv"]["id"] != old["particles.csv"]["id"]
    await replace_generations(lab.platform)
    assert await lab.is_gone(bed["job_id"])
    assert not [key for key in lab.objects() if bed["job_id"] in key]


async def test_the_files_stay_until_the_new_ones_are_there(lab: Lab) -> None:
    bed = await lab.ready(particle_count=61)
    path = f"{V1}/beds/{bed['id']}"
    old = await lab.files(bed)
    endless = (await lab("PUT", path, json={"seed": 7})).json()
    assert endless["status"] in {"QUEUED", "RUNNING"}
    assert await lab.files(bed) == old
    failing = (await lab("PUT", path, json={"seed": 13})).json()
    await lab.ended(failing["job_id"])
    stopped = (await lab.get(f"{V1}/jobs/{endless['job_id']}?wait_seconds=30")).json()
    assert stopped.get("status") == "CANCELLED" or await lab.is_gone(endless["job_id"]), stopped
    await replace_generations(lab.platform)
    assert (await lab.see(f"/beds/{bed['id']}"))["status"] == "FAILED"
    assert await lab.files(bed) == old
    assert not await lab.is_gone(bed["job_id"])


async def test_equal_beds_share_what_was_made_within_their_organization(
    lab: Lab, rival: Lab
) -> None:
    first = await lab.ready(particle_count=70)
    second = await lab.bed(particle_count=70, name="again", material="glass")
    assert (second["status"], second["job_id"]) == ("SUCCEEDED", first["job_id"])
    assert second["porosity"] == first["porosity"]
    assert (await rival.bed(particle_count=70))["job_id"] != first["job_id"]

    shared = (await lab.files(second))["particles.csv"]["id"]
    refused = await lab("DELETE", f"{V1}/beds/{second['id']}/files/{shared}")
    assert (refused.status_code, refused.json()["code"]) == (409, "file_in_use")
    assert (await lab("DELETE", f"{V1}/beds/{first['id']}")).status_code == 204
    assert (await lab.files(second))["particles.csv"]["id"] == shared
    assert (await lab("DELETE", f"{V1}/beds/{second['id']}")).status_code == 204
    assert lab.objects() == []


async def test_the_same_request_makes_one_bed(lab: Lab) -> None:
    key = {"idempotency-key": "bed-1"}
    answers = [await lab.post(f"{V1}/beds", json=GRID | {"seed": 3}, headers=key) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert len((await lab.see("/beds"))["items"]) == 1


async def test_a_deleted_bed_leaves_nothing(lab: Lab) -> None:
    bed = await lab.ready(particle_count=80)
    await lab.send(bed, "shape.stl", b"\0" * 80 + b"\1\0\0\0" + b"\0" * 50)
    done = await lab.simulated(await lab.simulation(bed))
    running = await lab.simulation(bed, velocity_m_s=88)
    while (await lab.see(f"/simulations/{running['id']}"))["status"] == "QUEUED":
        await lab.ended(done["job_id"])
    assert lab.objects()

    assert (await lab("DELETE", f"{V1}/beds/{bed['id']}")).status_code == 204
    assert lab.objects() == []
    for path in (f"/beds/{bed['id']}", f"/simulations/{done['id']}", f"/jobs/{done['job_id']}"):
        assert (await lab.get(V1 + path)).status_code == 404
    assert (await lab("DELETE", f"{V1}/beds/{bed['id']}")).status_code == 404
    assert (await lab.see("/simulations"))["items"] == []
