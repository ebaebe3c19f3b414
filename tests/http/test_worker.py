"""The workers over HTTP, and what a job says of the layers around its program."""

from datetime import datetime
from typing import Any

import pytest

from tests.http.conftest import Api
from usina.kernel.runners.sandbox import LAYERS

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_worker_says_what_it_puts_around_a_program(api: Api) -> None:
    listed = (await api.get("/api/v1/workers")).json()
    [worker] = listed["items"]
    assert listed["next_cursor"] is None
    has = {"slots", "memory_bytes", "gpus"}
    assert set(worker) == {
        *("id", "name", "queues", "models", "cards", "free", "warm_models", "draining"),
        *("started_at", "seen_at", "sandbox"),
        *has,
    }
    assert worker["queues"] == ["default", "gpu", "io"]
    catalogue = (await api.get("/api/v1/models?limit=200")).json()["items"]
    assert worker["models"] == sorted(m["name"] for m in catalogue if m["available"])
    assert worker["draining"] is False
    assert worker["slots"] >= 1
    assert worker["memory_bytes"] > 0
    assert set(worker["free"]) == has
    assert all(0 <= worker["free"][name] <= worker[name] for name in has)
    assert datetime.fromisoformat(worker["started_at"]) <= datetime.fromisoformat(worker["seen_at"])
    assert tuple(worker["sandbox"]) == LAYERS
    for layer in worker["sandbox"].values():
        assert layer["on"] is (layer["reason"] is None)
    assert worker["sandbox"]["watch"] == {"on": True, "reason": None}


async def test_a_job_says_which_layers_were_on(api: Api) -> None:
    [worker] = (await api.get("/api/v1/workers")).json()["items"]
    job = (await api.post("/api/v1/jobs", json={"model": "echo-v1"})).json()
    assert job["metrics"]["sandbox"] is None
    job = (await api.get(f"/api/v1/jobs/{job['id']}?wait_seconds=60")).json()
    assert job["status"] == "SUCCEEDED"
    able = {name: layer["on"] for name, layer in worker["sandbox"].items()}
    assert job["metrics"]["sandbox"] == able
    assert (await api.get(f"/api/v1/jobs/{job['id']}")).json()["metrics"] == job["metrics"]


async def test_a_worker_is_drained_and_takes_jobs_again(operator: Api) -> None:
    [worker] = (await operator.get("/api/v1/workers")).json()["items"]
    address = f"/api/v1/workers/{worker['id']}"
    first = await operator.in_progress(seconds=2)
    try:
        for path in (f"{address}/drain", f"{address}/drain/"):
            answer = await operator.post(path)
            assert answer.status_code == 200, answer.text
            assert answer.json()["draining"] is True
        assert _busy(answer.json()) == 1
        waiting = await operator.submit()
        assert (await operator.ended(first["id"]))["status"] == "SUCCEEDED"
        [idle] = (await operator.get("/api/v1/workers")).json()["items"]
        assert (idle["draining"], _busy(idle)) == (True, 0)
        job = (await operator.get(f"/api/v1/jobs/{waiting['id']}")).json()
        assert (job["status"], job["waiting_reason"]) == ("QUEUED", "no_worker")
        queues = (await operator.get("/api/v1/queues")).json()["items"]
        assert [queue["resources"]["slots"] for queue in queues] == [0, 0, 0]
    finally:
        answer = await operator.post(f"{address}/resume")
    assert (answer.status_code, answer.json()["draining"]) == (200, False)
    assert (await operator.ended(waiting["id"]))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("worker_id", ["x", "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e"])
async def test_a_worker_that_is_not_there(operator: Api, worker_id: str) -> None:
    for deed in ("drain", "resume"):
        answer = await operator.post(f"/api/v1/workers/{worker_id}/{deed}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_only_the_first_organization_steers_workers(api: Api) -> None:
    [worker] = (await api.get("/api/v1/workers")).json()["items"]
    for worker_id in (worker["id"], "x"):
        for deed in ("drain", "resume"):
            answer = await api.post(f"/api/v1/workers/{worker_id}/{deed}")
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    [same] = (await api.get("/api/v1/workers")).json()["items"]
    assert same["draining"] is False


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "name=x"])
async def test_a_query_that_is_none_is_refused(api: Api, query: str) -> None:
    assert (await api.get(f"/api/v1/workers?{query}")).status_code == 422


def _busy(worker: dict[str, Any]) -> int:
    return worker["slots"] - worker["free"]["slots"]
