"""The workers over HTTP, and what a job says of the layers around its program."""

from datetime import datetime

import pytest

from tests.http.conftest import Api
from usina.kernel.runners.sandbox import LAYERS

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_worker_says_what_it_puts_around_a_program(api: Api) -> None:
    listed = (await api.get("/api/v1/workers")).json()
    [worker] = listed["items"]
    assert listed["next_cursor"] is None
    has = {"slots", "memory_bytes", "gpus"}
    assert set(worker) == {"id", "name", "queues", *has, "free", "started_at", "seen_at", "sandbox"}
    assert worker["queues"] == ["default", "gpu", "io"]
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


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "name=x"])
async def test_a_query_that_is_none_is_refused(api: Api, query: str) -> None:
    assert (await api.get(f"/api/v1/workers?{query}")).status_code == 422
