"""The queues over HTTP: what they tell, and to pause them."""

from typing import Any

import pytest

from tests.http.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def queue(api: Api, name: str = "default") -> dict[str, Any]:
    listed = (await api.get("/api/v1/queues")).json()
    return {each["name"]: each for each in listed["items"]}[name]


async def test_the_queues_and_what_they_tell(api: Api) -> None:
    listed = (await api.get("/api/v1/queues")).json()
    assert [each["name"] for each in listed["items"]] == ["default", "gpu", "io"]
    assert listed["next_cursor"] is None
    for each in listed["items"]:
        assert set(each) == {
            *("name", "paused", "depth", "running", "oldest_wait_seconds", "throughput"),
            *("warm_models", "resources"),
        }
        assert each["resources"]["workers"] == 1
        assert each["resources"]["slots"] == 2
    [first] = (await api.get("/api/v1/queues?limit=1")).json()["items"]
    cursor = (await api.get("/api/v1/queues?limit=1")).json()["next_cursor"]
    rest = (await api.get(f"/api/v1/queues?cursor={cursor}")).json()
    assert [first["name"], *(each["name"] for each in rest["items"])] == ["default", "gpu", "io"]


async def test_a_finished_job_is_throughput_at_once(api: Api) -> None:
    before = await queue(api)
    await api.finished()
    await api.finished(params={"fail": "invalid_input"})
    after = await queue(api)
    window = after["throughput"]["window_seconds"]
    assert window == 600
    more = after["throughput"]["jobs_per_minute"] - before["throughput"]["jobs_per_minute"]
    assert more == pytest.approx(2 * 60 / window)


async def test_a_running_job_holds_its_slot(api: Api) -> None:
    job = await api.running(params={"seconds": 30})
    found = await queue(api)
    assert found["running"] == 1
    assert found["resources"]["busy_slots"] == 1
    await api.ended_by_cancel(job["id"])


async def test_a_paused_queue_says_so_and_its_jobs_run_once_it_is_resumed(operator: Api) -> None:
    running = await operator.running(params={"seconds": 1})
    try:
        for path in ("/api/v1/queues/default/pause", "/api/v1/queues/default/pause/"):
            answer = await operator.post(path)
            assert answer.status_code == 200, answer.text
            assert answer.json()["paused"] is True
        waiting = await operator.submit()
        assert (await operator.ended(running["id"]))["status"] == "SUCCEEDED"
        job = (await operator.get(f"/api/v1/jobs/{waiting['id']}")).json()
        assert (job["status"], job["waiting_reason"]) == ("QUEUED", "queue_paused")
        listed = (await operator.get("/api/v1/jobs?status=QUEUED")).json()["items"]
        assert [each["waiting_reason"] for each in listed] == ["queue_paused"]
        found = await queue(operator)
        assert (found["depth"], found["running"], found["paused"]) == (1, 0, True)
        assert found["oldest_wait_seconds"] > 0
        assert not (await queue(operator, "io"))["paused"]
    finally:
        answer = await operator.post("/api/v1/queues/default/resume")
    assert (answer.status_code, answer.json()["paused"]) == (200, False)
    ended = await operator.ended(waiting["id"])
    assert ended["status"] == "SUCCEEDED"
    assert ended["metrics"]["queued_seconds"] < 10, "the workers were woken"


@pytest.mark.parametrize("name", ["none", "DEFAULT", "default%20", "default%00"])
async def test_there_is_no_other_queue(operator: Api, name: str) -> None:
    for deed in ("pause", "resume"):
        answer = await operator.post(f"/api/v1/queues/{name}/{deed}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_only_the_first_organization_pauses(api: Api) -> None:
    for deed in ("pause", "resume"):
        for name in ("default", "none"):
            answer = await api.post(f"/api/v1/queues/{name}/{deed}")
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await queue(api))["paused"] is False


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "name=default"])
async def test_a_query_that_is_none_is_refused(api: Api, query: str) -> None:
    assert (await api.get(f"/api/v1/queues?{query}")).status_code == 422


async def test_without_a_key_nothing_is_told(api: Api) -> None:
    for method, path in (("GET", ""), ("POST", "/default/pause"), ("POST", "/default/resume")):
        answer = await api.client.request(method, f"/api/v1/queues{path}")
        assert answer.status_code == 401
