"""Stopping and draining: what runs ends or is handed back, and nothing is lost on the way."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.worker.conftest import Plant, settings, until
from tests.worker.test_worker import programs, types
from usina.app import embedded
from usina.kernel.events.log import read_after
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.table import jobs, workers

RUNNERS = (Path(__file__).parent / "runners",)


@pytest.fixture(autouse=True)
def _long_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `usina worker` has it: an embedded platform has no time for it."""
    monkeypatch.setattr("usina.app._MOST_GRACE_SECONDS", 3600)


def with_grace(folder: Path, seconds: float, **changes: Any) -> Any:
    return embedded(settings(folder, runners=RUNNERS, grace_seconds=seconds, **changes))


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    """With a minute of grace."""
    async with with_grace(tmp_path, 60) as running:
        yield Plant.of(running)


async def begin(plant: Plant, model: str = "saver-v1", **params: Any) -> str:
    """Returns when the program itself has spoken: what runs by the log alone may not have begun,
    and a worker that stops gives that back."""
    [job] = await plant.platform.jobs.submit(plant.caller, [JobRequest(model, params)])
    await plant.follow(job.id, "job.progress")
    return job.id


async def begin_echo(plant: Plant, seconds: float) -> str:
    return await begin(plant, "echo-v1", seconds=seconds, progress_steps=100)


async def last(plant: Plant, job_id: str) -> dict[str, Any]:
    owner = plant.caller.organization_id
    events = await plant.platform.database.read(lambda tx: read_after(tx, owner, job_id, None, 100))
    return {"type": events[-1].type, **events[-1].data}


async def report(plant: Plant, job: Job) -> dict[str, Any]:
    [made] = [artifact for artifact in job.artifacts if artifact.name == "report.json"]
    found = await plant.platform.artifacts.get(job.organization_id, made.id)
    parts = plant.platform.artifacts.read(found, 0, found.size_bytes)
    return json.loads(b"".join([bytes(part) async for part in parts]))


async def expiry(plant: Plant, job_id: str) -> datetime | None:
    query = sa.select(jobs.c.lease_expires_at).where(jobs.c.id == job_id)
    return await plant.platform.database.read(lambda tx: tx.execute(query).scalar_one())


async def workers_known(plant: Plant) -> int:
    count = sa.select(sa.func.count()).select_from(workers)
    return await plant.platform.database.read(lambda tx: tx.execute(count).scalar_one())


async def test_within_the_grace_what_runs_ends_and_nothing_begins(plant: Plant) -> None:
    running = [await begin_echo(plant, 1) for _ in range(2)]
    [waiting] = await plant.submit()
    await plant.worker.stop()
    for job_id in running:
        job = await plant.get(job_id)
        assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    job = await plant.get(waiting)
    assert (job.status, job.attempt, job.waiting_reason) == (Status.QUEUED, 1, "no_worker")
    assert await workers_known(plant) == 0


async def test_leases_are_renewed_while_it_stops(plant: Plant) -> None:
    job_id = await begin_echo(plant, 60)
    stopping = asyncio.create_task(plant.worker.stop())
    for _ in range(3):
        before = await expiry(plant, job_id)
        assert before is not None
        await until(lambda seen=before: _later(plant, job_id, seen))
    assert await workers_known(plant) == 1
    plant.worker.hurry()
    await stopping
    assert await expiry(plant, job_id) is None


async def _later(plant: Plant, job_id: str, moment: datetime) -> bool:
    now = await expiry(plant, job_id)
    return now is not None and now > moment


async def test_a_program_that_is_told_can_save_where_it_is(tmp_path: Path) -> None:
    async with with_grace(tmp_path, 0) as running:
        plant = Plant.of(running)
        job_id = await begin(plant)
        await plant.worker.stop()
        job = await plant.get(job_id)
        assert (job.status, job.attempt, job.max_attempts) == (Status.QUEUED, 2, 4)
        told = await last(plant, job_id)
        assert (told["type"], told["error"]["reason"]) == ("job.retrying", "worker_stopped")
        assert told["error"]["code"] == "worker_lost"
    async with with_grace(tmp_path, 0) as running:
        plant = Plant.of(running)
        job = await plant.end(job_id)
        assert job.status is Status.SUCCEEDED
        assert (await report(plant, job))["saved"] == "all that was done"


async def test_a_result_that_comes_all_the_same_counts(tmp_path: Path) -> None:
    async with with_grace(tmp_path, 0) as running:
        plant = Plant.of(running)
        job_id = await begin(plant, answer="finish")
        await plant.worker.stop()
        job = await plant.get(job_id)
        assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
        assert (await report(plant, job))["saved"] is None


async def test_a_program_that_does_not_listen_is_killed_and_handed_back(tmp_path: Path) -> None:
    async with with_grace(tmp_path, 0) as running:
        plant = Plant.of(running)
        stubborn, mild = await begin(plant, answer="ignore"), await begin(plant)
        stopping = asyncio.create_task(plant.worker.stop())
        await plant.follow(mild, "job.retrying")
        assert (await plant.get(stubborn)).status is Status.RUNNING, "one does not wait for another"
        await stopping
        job = await plant.get(stubborn)
        assert (job.status, job.attempt, job.max_attempts) == (Status.QUEUED, 2, 4)
        root = plant.platform.settings.data
        assert programs(root) == []


async def test_hurried_it_hands_back_at_once(plant: Plant) -> None:
    job_id = await begin(plant, answer="ignore")
    stopping = asyncio.create_task(plant.worker.stop())
    plant.worker.hurry()
    async with asyncio.timeout(3):
        await stopping
    job = await plant.get(job_id)
    assert (job.status, job.attempt, job.max_attempts) == (Status.QUEUED, 2, 4)
    assert programs(plant.platform.settings.data) == []


async def test_a_cancel_meanwhile_is_a_cancel(plant: Plant) -> None:
    job_id = await begin(plant)
    stopping = asyncio.create_task(plant.worker.stop())
    await plant.platform.jobs.cancel(plant.caller.organization_id, job_id)
    await stopping
    assert (await plant.get(job_id)).status is Status.CANCELLED


async def test_a_cancel_of_one_that_was_told_is_a_cancel(tmp_path: Path) -> None:
    async with with_grace(tmp_path, 0) as running:
        plant = Plant.of(running)
        job_id = await begin(plant, answer="ignore")
        stopping = asyncio.create_task(plant.worker.stop())
        await plant.platform.jobs.cancel(plant.caller.organization_id, job_id)
        await stopping
        job = await plant.get(job_id)
        assert (job.status, job.attempt) == (Status.CANCELLED, 1)


@pytest.mark.parametrize("moment", range(6))
async def test_a_stop_in_the_midst_of_claims_leaves_nothing_running(
    tmp_path: Path, moment: int
) -> None:
    async with with_grace(tmp_path, 0) as running:
        plant = Plant.of(running)
        for job_id in await plant.submit(10):
            await plant.end(job_id)
        submitted = [await plant.submit(5, seconds=0.05) for _ in range(4)]
        for _ in range(moment):
            await asyncio.sleep(0)
        await plant.worker.stop()
        assert await plant.count(Status.RUNNING) == 0
        ids = [job_id for batch in submitted for job_id in batch]
        assert {(await plant.get(job_id)).status for job_id in ids} <= {
            Status.QUEUED,
            Status.SUCCEEDED,
        }


async def test_a_drained_worker_ends_what_runs_and_begins_nothing(tmp_path: Path) -> None:
    """It hears of it at once, long before its next heartbeat."""
    async with with_grace(tmp_path, 0, slots=1, heartbeat_seconds=60) as running:
        plant = Plant.of(running)
        job_id = await begin_echo(plant, 0.5)
        waiting = await plant.submit(3)
        [worker] = (await plant.platform.workers.list(None, 9)).items
        assert (worker.draining, worker.busy_slots) == (False, 1)
        assert (await plant.platform.workers.drain(worker.id, draining=True)).draining
        assert (await plant.end(job_id)).status is Status.SUCCEEDED
        plant.worker.wake("default")
        await asyncio.wait_for(_idle(plant), 5)
        late = await plant.submit()
        for each in (*waiting, *late):
            assert await types(plant, each) == ["job.queued"]
        assert plant.worker.alive()
        await plant.platform.workers.drain(worker.id, draining=False)
        for each in (*waiting, *late):
            assert (await plant.end(each)).attempt == 1


async def test_a_drain_gives_back_what_was_claimed_ahead(plant: Plant) -> None:
    """Small jobs are claimed in batches; those that have not begun are somebody else's again."""
    for job_id in await plant.submit(40):
        await plant.end(job_id)
    ids = await plant.submit(60, seconds=0.2)
    await plant.follow(ids[0], "job.running")
    [worker] = (await plant.platform.workers.list(None, 9)).items
    await plant.platform.workers.drain(worker.id, draining=True)
    await asyncio.wait_for(_idle(plant), 10)
    assert await plant.count(Status.RUNNING) == 0
    assert await plant.count(Status.QUEUED) > 0
    await plant.platform.workers.drain(worker.id, draining=False)
    assert {(await plant.end(job_id)).attempt for job_id in ids} == {1}


async def test_a_drained_worker_stops_as_any(tmp_path: Path) -> None:
    async with with_grace(tmp_path, 0) as running:
        plant = Plant.of(running)
        job_id = await begin(plant)
        [worker] = (await plant.platform.workers.list(None, 9)).items
        await plant.platform.workers.drain(worker.id, draining=True)
        await plant.worker.stop()
        assert (await plant.get(job_id)).status is Status.QUEUED
        assert await workers_known(plant) == 0


async def _idle(plant: Plant) -> None:
    await until(lambda: _free(plant))


async def _free(plant: Plant) -> bool:
    return plant.worker.busy == 0
