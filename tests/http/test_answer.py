"""An earlier result comes at once, however busy the platform and whatever a run would wait for."""

from pathlib import Path
from typing import Any

import pytest

from tests.http.conftest import Api, at_work, settings_of
from tests.http.test_reuse import WORK, made
from tests.runners.stage import make_runner

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = {"seconds": 600}
GPU = """
mode = "warm"
deterministic = true
[params]
seconds = { type = "number", default = 0 }
[outputs."report.json"]
kind = "report"
[resources]
gpu = 1
"""
SLEEPS = """
def main(job):
    job.progress(0.1)
    time.sleep(job.params["seconds"])
    job.report({})
usina_runner.run(main)
"""


async def events(api: Api, job: dict[str, Any]) -> list[str]:
    """The types of its events, which have no gap."""
    items = (await api.get(f"/api/v1/jobs/{job['id']}/events")).json()["items"]
    assert [event["seq"] for event in items] == list(range(1, len(items) + 1))
    return [event["type"] for event in items]


async def state(api: Api, job: dict[str, Any]) -> tuple[str, str | None]:
    found = (await api.get(f"/api/v1/jobs/{job['id']}")).json()
    return found["status"], found["reused_from"]


async def test_it_comes_while_every_slot_is_busy(api: Api, other: Api) -> None:
    first = await api.finished(params=WORK)
    busy = [await api.running(params=LONG) for _ in range(2)]
    behind = await api.submit(params=LONG, priority=100)
    theirs = await other.submit(params=WORK, reuse=True)
    second = await api.finished(params=WORK, reuse=True, priority=-100)
    assert (second["status"], second["reused_from"]) == ("SUCCEEDED", first["id"])
    assert (second["progress"], made(second)) == (1.0, made(first))
    assert second["metrics"]["run_seconds"] == 0
    kinds = ["job.queued", "job.running", *["job.artifact"] * 3, "job.succeeded"]
    assert await events(api, second) == kinds
    batch = {"jobs": [{"model": "echo-v1", "params": WORK, "reuse": True}] * 5}
    accepted = (await api.post("/api/v1/jobs/batch", json=batch)).json()["items"]
    for job in accepted:
        assert (await api.ended(job["id"]))["reused_from"] is not None

    await api.platform.jobs.answer_waiting()
    assert await state(other, theirs) == ("QUEUED", None), "it is nobody else's"
    assert [await state(api, job) for job in busy] == [("RUNNING", None)] * 2
    assert await state(api, behind) == ("QUEUED", None)
    for job in (behind, *busy):
        await api.ended_by_cancel(job["id"])
    assert (await other.ended(theirs["id"]))["reused_from"] is None


async def test_it_comes_to_who_waited_before_it_was_there(api: Api) -> None:
    """And does not have to be the next in its queue for that."""
    busy = await api.running(params=LONG)
    work = {"params": WORK | {"seconds": 1.5}}
    first = await api.running(**work)
    behind = await api.submit(params=LONG, priority=100)
    second = await api.submit(**work, reuse=True)
    found = await api.ended(second["id"])
    assert (found["status"], found["reused_from"]) == ("SUCCEEDED", first["id"])
    for job in (behind, busy):
        await api.ended_by_cancel(job["id"])


async def test_it_needs_no_gpu(tmp_path: Path) -> None:
    """Neither while the only one is lent, nor once there is none any more."""
    make_runner(tmp_path / "runners" / "graphic-v2", SLEEPS, more=GPU)
    own = {"runners": (tmp_path / "runners",)}
    work = {"model": "graphic-v2", "reuse": True}
    async with at_work(settings_of(tmp_path / "data", gpus="1").model_copy(update=own)) as platform:
        key = platform.first_key
        api = await platform.with_key(key)
        first = await api.finished(model="graphic-v2")
        assert first["status"] == "SUCCEEDED", first["error"]
        await api.reached("job.progress", model="graphic-v2", params={"seconds": 600})
        assert (await api.finished(**work))["reused_from"] == first["id"]
    async with at_work(settings_of(tmp_path / "data", gpus="0").model_copy(update=own)) as platform:
        api = await platform.with_key(key)
        assert (await api.submit(model="graphic-v2"))["waiting_reason"] == "no_worker"
        assert (await api.finished(**work))["reused_from"] is not None
