"""Checkpoints: the next attempt goes on from what the last one saved, however that one ended."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.worker.conftest import RUNNERS, Plant, settings, until
from usina.app import embedded
from usina.kernel.ids import new_id
from usina.kernel.jobs import checkpoint
from usina.kernel.jobs.checkpoint import Checkpoint, CheckpointOwner
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.jobs.table import checkpoints

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def begin(plant: Plant, **params: Any) -> str:
    [job] = await plant.platform.jobs.submit(plant.caller, [JobRequest("steps-v1", params)])
    return job.id


async def report(plant: Plant, job: Job) -> dict[str, Any]:
    [made] = [artifact for artifact in job.artifacts if artifact.name == "report.json"]
    found = await plant.platform.artifacts.get(job.organization_id, made.id)
    parts = plant.platform.artifacts.read(found, 0, found.size_bytes)
    return json.loads(b"".join([bytes(part) async for part in parts]))


async def kept(plant: Plant) -> list[Checkpoint]:
    columns = [checkpoints.c[name] for name in Checkpoint.__dataclass_fields__]
    mine = checkpoints.c.organization_id == plant.caller.organization_id
    query = sa.select(*columns).where(mine)
    rows = await plant.platform.database.read(lambda tx: tx.execute(query).all())
    return [Checkpoint(*row) for row in rows]


def objects(plant: Plant) -> set[str]:
    owner = plant.caller.organization_id
    return {found.key for found in plant.platform.store.list(f"checkpoints/{owner}/")}


@pytest.mark.parametrize("ending", ["fail", "crash"])
async def test_the_next_attempt_goes_on(plant: Plant, ending: str) -> None:
    job = await plant.end(await begin(plant, steps=4, stop_at=3, ending=ending))
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    told = await report(plant, job)
    assert (told["began"], told["name"]) == (3, "state-3.txt")
    await until(lambda: _nothing(plant))


async def test_a_job_that_nobody_interrupts_leaves_none(plant: Plant) -> None:
    job = await plant.end(await begin(plant, steps=5))
    assert (await report(plant, job))["began"] == 0
    await until(lambda: _nothing(plant))


async def test_a_cancelled_job_that_is_reopened_goes_on(plant: Plant) -> None:
    job_id = await begin(plant, steps=4, stop_at=2, ending="wait")
    await until(lambda: _saved(plant, "state-2.txt"))
    await plant.platform.jobs.cancel(plant.caller.organization_id, job_id)
    assert (await plant.end(job_id)).status is Status.CANCELLED
    [left] = await kept(plant)
    assert (left.name, objects(plant)) == ("state-2.txt", {left.key})
    await plant.platform.jobs.retry(plant.caller.organization_id, job_id)
    job = await plant.end(job_id)
    assert (await report(plant, job))["began"] == 2
    await until(lambda: _nothing(plant))


async def test_a_stopped_platform_hands_it_to_the_next(tmp_path: Path) -> None:
    async with embedded(settings(tmp_path, runners=RUNNERS)) as running:
        plant = Plant.of(running)
        job_id = await begin(plant, steps=4, stop_at=2, ending="wait")
        await until(lambda: _saved(plant, "state-2.txt"))
    async with embedded(settings(tmp_path, runners=RUNNERS)) as running:
        plant = Plant.of(running)
        job = await plant.end(job_id)
        assert (job.status, (await report(plant, job))["began"]) == (Status.SUCCEEDED, 2)


async def test_what_lies_behind_a_link_is_not_kept(plant: Plant) -> None:
    """Nor is the job harmed: an older one, or none, is what its next attempt gets."""
    job = await plant.end(await begin(plant, steps=2, stop_at=2, ending="link"))
    assert job.error is None or job.error.reason == "stopped"
    assert "passwd" not in {found.name for found in await kept(plant)}
    await until(lambda: _whole(plant))


async def test_a_damaged_one_is_not_used(plant: Plant) -> None:
    job_id = await begin(plant, steps=3, stop_at=2, ending="wait")
    await until(lambda: _saved(plant, "state-2.txt"))
    await plant.platform.jobs.cancel(plant.caller.organization_id, job_id)
    await plant.end(job_id)
    [left] = await kept(plant)
    plant.platform.store.put(left.key, b"9")
    await plant.platform.jobs.retry(plant.caller.organization_id, job_id)
    await until(lambda: _saved_by(plant, 2))
    await plant.platform.jobs.cancel(plant.caller.organization_id, job_id)
    assert (await plant.end(job_id)).stage == "step 2"


async def test_a_deleted_job_takes_it_along(plant: Plant) -> None:
    job_id = await begin(plant, steps=3, stop_at=1, ending="wait")
    await until(lambda: _saved(plant, "state-1.txt"))
    await plant.platform.jobs.cancel(plant.caller.organization_id, job_id)
    await plant.end(job_id)
    await plant.platform.jobs.delete(plant.caller.organization_id, job_id)
    assert await _nothing(plant)


async def test_one_who_lost_the_job_writes_none(plant: Plant) -> None:
    job_id = await begin(plant, steps=3, stop_at=1, ending="wait")
    await until(lambda: _saved(plant, "state-1.txt"))
    owner = plant.caller.organization_id
    stale = Checkpoint(new_id(), owner, job_id, 1, "old", 1, "0" * 64)
    lease = Lease(job_id, 1, new_id())
    over = await plant.platform.database.write(lambda tx: checkpoint.keep(tx, lease, stale))
    assert over == stale.key
    assert [found.name for found in await kept(plant)] == ["state-1.txt"]


async def test_what_a_kill_left_of_a_success_is_over(plant: Plant) -> None:
    job = await plant.end(await begin(plant, steps=1))
    await until(lambda: _nothing(plant))
    left = Checkpoint(new_id(), job.organization_id, job.id, 1, "left", 1, "0" * 64)
    values = {name: getattr(left, name) for name in Checkpoint.__dataclass_fields__}
    write = plant.platform.database.write
    now = await plant.platform.database.read(lambda tx: tx.now)
    await write(lambda tx: tx.execute(sa.insert(checkpoints), values | {"created_at": now}))
    expired = await write(lambda tx: CheckpointOwner().expire(tx, 10))
    assert (expired.examined, list(expired.keys)) == (1, [left.key])
    assert await kept(plant) == []


async def _saved(plant: Plant, name: str) -> bool:
    found = await kept(plant)
    return [one.name for one in found] == [name] and objects(plant) == {found[0].key}


async def _saved_by(plant: Plant, attempt: int) -> bool:
    return [(one.name, one.attempt) for one in await kept(plant)] == [("state-2.txt", attempt)]


async def _whole(plant: Plant) -> bool:
    return objects(plant) == {found.key for found in await kept(plant)}


async def _nothing(plant: Plant) -> bool:
    return not await kept(plant) and not objects(plant)
