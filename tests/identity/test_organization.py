"""The organization over the routes: its quotas, their use, and what it keeps."""

import asyncio
from typing import Any

import pytest

from tests.identity.conftest import Person, Running, register
from tests.identity.test_member import invited
from usina.kernel.tenancy.quota import KNOWN_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="session")
CURRENT = "/organizations/current"


async def test_it_tells_of_itself(owner: Person) -> None:
    found = await owner.get(CURRENT)
    assert found["id"] == (await owner.get("/auth/me"))["organization"]["id"]
    nothing = {"running_jobs": None, "queued_jobs": None, "stored_bytes": None}
    assert found["quotas"] == nothing
    assert found["usage"] == dict.fromkeys(nothing, 0)
    kept = ("jobs_days", "events_days", "files_days", "photos_days")
    assert found["retention"] == dict.fromkeys(kept)
    await owner("POST", "/files", files={"file": ("a.txt", b"12345")})
    assert (await owner.get(CURRENT))["usage"]["stored_bytes"] == 5


async def test_what_is_left_out_stays_and_what_changed_is_told(owner: Person) -> None:
    before = await owner.get(CURRENT)
    quotas = {"running_jobs": 3, "queued_jobs": 100, "stored_bytes": 10_000}
    answer = await owner("PUT", CURRENT, json={"quotas": quotas})
    assert answer.status_code == 200, answer.text
    assert answer.json() == before | {"quotas": quotas}
    await owner("PUT", CURRENT, json={"retention": {"jobs_days": 7.5, "photos_days": 2}})
    after = await owner.get(CURRENT)
    assert after["quotas"] == quotas
    told = {"jobs_days": 7.5, "events_days": None, "files_days": None, "photos_days": 2}
    assert after["retention"] == told
    await owner("PUT", CURRENT, json={})
    entries = (await owner.get("/audit?action=organization.changed"))["items"]
    assert [sorted(entry["after"]) for entry in entries] == [["retention"], ["quotas"]]
    assert entries[1]["after"]["quotas"] == quotas
    assert entries[1]["before"]["quotas"]["running_jobs"] is None


async def test_who_may(owner: Person) -> None:
    member, admin = await invited(owner, "member"), await invited(owner, "admin")
    assert (await member("GET", CURRENT)).status_code == 200
    assert (await member("PUT", CURRENT, json={"name": "mine"})).status_code == 403
    assert (await admin("PUT", CURRENT, json={"name": f"of {admin.email}"})).status_code == 200


async def test_a_name_that_is_taken_is_refused(running: Running, owner: Person) -> None:
    other = await register(running.anyone)
    name = (await other.get(CURRENT))["name"]
    answer = await owner("PUT", CURRENT, json={"name": name})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    own = (await owner.get(CURRENT))["name"]
    assert (await owner("PUT", CURRENT, json={"name": own})).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"quotas": {"running_jobs": 0}}, "/quotas/running_jobs"),
        ({"quotas": {"running_jobs": -1}}, "/quotas/running_jobs"),
        ({"quotas": {"queued_jobs": 1.5}}, "/quotas/queued_jobs"),
        ({"quotas": {"stored_bytes": 10**30}}, "/quotas/stored_bytes"),
        ({"quotas": {"stored_bytes": "1"}}, "/quotas/stored_bytes"),
        ({"quotas": {"gpus": 1}}, "/quotas/gpus"),
        ({"retention": {"jobs_days": 0}}, "/retention/jobs_days"),
        ({"retention": {"files_days": 31}}, "/retention/files_days"),
        ({"retention": {"files_days": 10**9}}, "/retention/files_days"),
        ({"name": ""}, "/name"),
        ({"name": "a\0"}, "/name"),
        ({"usage": {}}, "/usage"),
    ],
)
async def test_what_can_not_be_is_refused(
    owner: Person, body: dict[str, Any], pointer: str
) -> None:
    answer = await owner("PUT", CURRENT, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_queue_that_is_full_takes_no_more(running: Running, owner: Person) -> None:
    quotas = {"running_jobs": 1, "queued_jobs": 2}
    await owner("PUT", CURRENT, json={"quotas": quotas})
    await asyncio.sleep(KNOWN_SECONDS)  # so long a worker may go by what it has learnt before
    long = {"model": "echo-v1", "params": {"seconds": 60}}
    first = await owner.post("/jobs", long, 202)
    async for event in running.platform.events.follow(
        (await owner.get(CURRENT))["id"], first["id"], None
    ):
        if event is not None and event.type == "job.running":
            break
    waiting = [await owner.post("/jobs", long, 202) for _ in range(2)]
    assert [job["waiting_reason"] for job in waiting] == ["quota", "quota"]
    for body, path in ((long, "/jobs"), ({"jobs": [long]}, "/jobs/batch")):
        refused = await owner("POST", path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert int(refused.headers["retry-after"]) > 0
    shown = await owner.get(f"/jobs/{waiting[0]['id']}")
    assert (shown["status"], shown["waiting_reason"]) == ("QUEUED", "quota")
    listed = (await owner.get("/jobs?status=QUEUED"))["items"]
    assert {job["waiting_reason"] for job in listed} == {"quota"}
    usage = (await owner.get(CURRENT))["usage"]
    assert (usage["running_jobs"], usage["queued_jobs"]) == (1, 2)
    other = await register(running.anyone)
    passed = await other.post("/jobs", {"model": "echo-v1"}, 202)
    assert (await other.get(f"/jobs/{passed['id']}?wait_seconds=30"))["status"] == "SUCCEEDED"
    for job in (*waiting, first):
        await owner("POST", f"/jobs/{job['id']}/cancel")
    assert (await owner.get(f"/jobs/{first['id']}?wait_seconds=30"))["status"] == "CANCELLED"
    again = await owner("POST", f"/jobs/{first['id']}/retry")
    assert again.status_code == 202
    await owner("POST", f"/jobs/{first['id']}/cancel")


async def test_a_store_that_is_full_takes_no_more(owner: Person) -> None:
    await owner("PUT", CURRENT, json={"quotas": {"stored_bytes": 1000}})
    sent = await owner("POST", "/files", files={"file": ("a.txt", b"x" * 900)})
    assert sent.status_code == 201
    for body in (b"x" * 101, b"x" * 5000):
        refused = await owner("POST", "/files", files={"file": ("b.txt", body)})
        assert (refused.status_code, refused.json()["code"]) == (413, "quota_exceeded")
    upload = await owner("POST", "/files/uploads", json={"name": "b", "size_bytes": 101})
    assert upload.json()["code"] == "quota_exceeded"
    exact = await owner("POST", "/files", files={"file": ("b.txt", b"x" * 100)})
    assert exact.status_code == 201
    submit = await owner("POST", "/jobs", json={"model": "echo-v1"})
    assert (submit.status_code, submit.json()["code"]) == (413, "quota_exceeded")
    await owner("DELETE", f"/files/{sent.json()['id']}")
    assert (await owner.get(CURRENT))["usage"]["stored_bytes"] == 100
