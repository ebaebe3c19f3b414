"""What a program tells of its run, as a caller sees it while it runs and afterwards."""

import pytest

from tests.http.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")
TOLD = {"residual": 0.25, "iteration": 40, "field": "Ux"}


async def test_metrics_are_seen_while_a_program_runs_and_until_the_next_attempt(api: Api) -> None:
    job = await api.submit(model="gated-v1", params={"metrics": TOLD, "hold": True})
    assert job["metrics"]["told"] == {}
    job_id, owner = job["id"], api.caller.organization_id
    async for event in api.platform.events.follow(owner, job_id, None):
        if event is not None and event.type == "job.progress":
            break
    log = (await api.get(f"/api/v1/jobs/{job_id}/events")).json()["items"]
    steps = [each["data"] for each in log if each["type"] == "job.progress"]
    assert steps == [{"progress": 0.0, "stage": None, "metrics": TOLD}]
    running = (await api.get(f"/api/v1/jobs/{job_id}")).json()
    assert (running["status"], running["metrics"]["told"]) == ("RUNNING", TOLD)
    ended = await api.ended_by_cancel(job_id)
    assert (ended["status"], ended["metrics"]["told"]) == ("CANCELLED", TOLD)
    again = (await api.post(f"/api/v1/jobs/{job_id}/retry")).json()
    assert again["metrics"]["told"] == {}
    await api.ended_by_cancel(job_id)


async def test_metrics_of_a_job_that_ends_at_once_are_there_with_its_end(api: Api) -> None:
    told = {"watertight": True, "many": 10**30, "word": "cg"}
    job = await api.finished(model="gated-v1", params={"metrics": told})
    assert job["metrics"]["told"] == {"watertight": 1, "many": 1e30, "word": "cg"}
    assert (await api.get(f"/api/v1/jobs/{job['id']}")).json()["metrics"] == job["metrics"]
