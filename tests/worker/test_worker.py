"""The worker on real programs: retries, cancels, lost leases, hand-backs, what it leaves behind."""

import errno
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.worker.conftest import Plant, settings, until
from usina.app import Embedded, embedded
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.service import Artifacts, NewArtifact
from usina.kernel.db.batch import Batch
from usina.kernel.db.unit_of_work import OutcomeUnknown, Transaction
from usina.kernel.errors import StorageFull
from usina.kernel.events.log import read_after
from usina.kernel.ids import new_id
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store.ending import Ending
from usina.kernel.jobs.table import jobs
from usina.kernel.runners.stash import FolderStash
from usina.kernel.worker.reporter import Reporter

pytestmark = pytest.mark.asyncio(loop_scope="session")


def programs(folder: Path) -> list[int]:
    """Live processes that run below the folder."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and str(folder).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


async def types(plant: Plant, job_id: str) -> list[str]:
    owner = plant.caller.organization_id
    events = await plant.platform.database.read(
        lambda tx: read_after(tx, owner, job_id, None, 1000)
    )
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.type for event in events]


async def test_a_failed_attempt_is_repeated_and_each_keeps_its_log(plant: Plant) -> None:
    [job_id] = await plant.submit(fail="runner_failed", fail_attempts=2, log_lines=1)
    job = await plant.end(job_id)
    assert (job.status, job.attempt, job.error) == (Status.SUCCEEDED, 3, None)
    names = {artifact.name for artifact in job.artifacts}
    assert names == {"log.txt", "log-2.txt", "log-3.txt", "report.json"}
    kinds = [kind for kind in await types(plant, job_id) if kind != "job.artifact"]
    assert kinds == [
        "job.queued",
        *["job.running", "job.retrying"] * 2,
        "job.running",
        "job.succeeded",
    ]


async def test_a_program_killed_from_outside_costs_one_attempt(plant: Plant) -> None:
    [job_id] = await plant.submit(seconds=3, progress_steps=30)
    await plant.follow(job_id, "job.progress")
    for pid in programs(plant.work_root):
        os.kill(pid, signal.SIGKILL)
    job = await plant.end(job_id)
    assert (job.status, job.attempt, job.max_attempts) == (Status.SUCCEEDED, 2, 3)


async def test_cancel_ends_a_running_program_soon(plant: Plant) -> None:
    [job_id] = await plant.submit(seconds=600)
    await plant.follow(job_id, "job.running")
    before, _ = await plant.platform.jobs.cancel(plant.caller.organization_id, job_id)
    job = await plant.end(job_id)
    assert before is Status.RUNNING
    assert job.status is Status.CANCELLED
    assert job.error is not None
    assert job.error.code == "cancelled"
    assert job.finished_at is not None
    assert job.cancel_requested_at is not None
    assert (job.finished_at - job.cancel_requested_at).total_seconds() < 5


async def test_a_cancel_that_comes_while_outputs_are_stored_leaves_none_of_them(
    alone: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Plant.of(alone)
    owner, stage = plant.caller.organization_id, Artifacts.stage

    async def stage_and_cancel(
        artifacts: Artifacts, new: Sequence[NewArtifact]
    ) -> Sequence[Artifact]:
        staged = await stage(artifacts, new)
        await plant.platform.jobs.cancel(owner, new[0].job_id)
        return staged

    monkeypatch.setattr(Artifacts, "stage", stage_and_cancel)
    [job_id] = await plant.submit(artifacts=1, artifact_bytes=20_000, log_lines=1)
    job = await plant.end(job_id)
    assert job.status is Status.CANCELLED
    assert [artifact.name for artifact in job.artifacts] == ["log.txt"]
    assert (await types(plant, job_id)).count("job.artifact") == 1
    stored = plant.platform.settings.data / "store/artifacts"
    await until(lambda: _true(not any(path.is_file() for path in stored.rglob("*"))))


@pytest.mark.parametrize("written", [True, False])
async def test_an_end_whose_answer_is_lost_is_told_again_and_costs_nothing(
    alone: Embedded, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    """Whether the database had written it or not: the work is done and its outputs are kept."""
    plant = Plant.of(alone)
    add = Batch[Any, Any].add
    lost: list[str] = []

    async def add_and_lose(batch: Batch[Any, Any], item: Any) -> Any:
        if not isinstance(item, Ending) or lost:
            return await add(batch, item)
        lost.append(item.lease.job_id)
        if written:
            await add(batch, item)
        raise OutcomeUnknown

    monkeypatch.setattr(Batch, "add", add_and_lose)
    [job_id] = await plant.submit(artifacts=1, artifact_bytes=20_000)
    job = await plant.end(job_id)
    await until(lambda: _true(plant.worker.busy == 0))
    assert lost == [job_id]
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    [stored] = [artifact for artifact in job.artifacts if artifact.name == "artifact-1.bin"]
    assert await plant.platform.store.run(lambda: plant.platform.store.size(stored.key)) == 20_000


async def test_an_end_on_a_full_disk_is_written_once_the_jobs_folder_made_room(
    alone: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Plant.of(alone)
    monkeypatch.setattr("usina.kernel.worker.attempt._FULL_DISK_SECONDS", 0.01)
    add = Batch[Any, Any].add
    held: list[list[Path]] = []

    async def add_with_room(batch: Batch[Any, Any], item: Any) -> Any:
        if isinstance(item, Ending):
            held.append([path for path in plant.work_root.rglob("outputs/*") if path.is_file()])
            if held[-1]:
                raise StorageFull
        return await add(batch, item)

    monkeypatch.setattr(Batch, "add", add_with_room)
    [job_id] = await plant.submit(artifacts=1, artifact_bytes=20_000)
    job = await plant.end(job_id)
    assert job.status is Status.SUCCEEDED
    assert "artifact-1.bin" in [artifact.name for artifact in job.artifacts]
    assert [bool(found) for found in held] == [True, False]


@pytest.mark.parametrize(("room", "name"), [(FolderStash, "take"), (Reporter, "close")])
async def test_a_worker_whose_disk_is_full_says_so_in_the_job(
    alone: Embedded, monkeypatch: pytest.MonkeyPatch, room: type, name: str
) -> None:
    plant = Plant.of(alone)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(room, name, fail)
    [job_id] = await plant.submit()
    job = await plant.end(job_id)
    assert job.error is not None
    assert (job.error.code, job.error.reason) == ("unavailable", "storage_full")


async def test_a_lost_lease_kills_the_program_and_writes_nothing(alone: Embedded) -> None:
    plant = Plant.of(alone)
    [job_id] = await plant.submit(seconds=600)
    await plant.follow(job_id, "job.running")
    thief = {"lease_token": new_id(), "worker_id": new_id()}

    def steal(tx: Transaction) -> None:
        tx.execute(sa.update(jobs).where(jobs.c.id == job_id).values(thief))

    await plant.platform.database.write(steal)
    await until(lambda: _true(alone.worker.busy == 0))
    assert (await plant.get(job_id)).status is Status.RUNNING
    assert await types(plant, job_id) == ["job.queued", "job.running"]


async def test_a_stop_hands_running_jobs_back_and_a_start_goes_on(tmp_path: Path) -> None:
    options = settings(tmp_path, slots=1)
    async with embedded(options) as running:
        first = Plant.of(running)
        [job_id, waiting] = await first.submit(2, seconds=2, progress_steps=100)
        await first.follow(job_id, "job.progress")
    assert programs(options.data) == []
    assert list((options.data / "work").iterdir()) == []
    async with embedded(options) as running:
        second = Plant.of(running)
        job, other = await second.end(job_id), await second.end(waiting)
        assert (job.status, job.attempt, job.max_attempts) == (Status.SUCCEEDED, 2, 4)
        assert (other.status, other.attempt) == (Status.SUCCEEDED, 1)
        assert "job.retrying" in await types(second, job_id)


async def test_many_claimed_as_small_are_given_back_when_they_are_not(plant: Plant) -> None:
    """The worker takes small jobs in batches; when the guess was wrong it keeps only its slots."""
    for job_id in await plant.submit(40):
        await plant.end(job_id)
    slow = await plant.submit(12, seconds=60)
    await plant.follow(slow[0], "job.running")

    async def settled() -> bool:
        return await plant.count(Status.RUNNING) == 2 and await plant.count(Status.QUEUED) == 10

    await until(settled)
    for job_id in slow:
        await plant.platform.jobs.cancel(plant.caller.organization_id, job_id)
    assert {(await plant.end(job_id)).attempt for job_id in slow} == {1}


async def test_live_output_is_read_while_it_grows_and_afterwards(plant: Plant) -> None:
    owner = plant.caller.organization_id
    [job_id] = await plant.submit(log_lines=3, seconds=1)
    live = await plant.platform.jobs.wait_log(owner, job_id, None, 0, 65_536, 10)
    assert live.data.count(b"\n") == 3
    assert not live.complete
    await plant.end(job_id)
    kept = await plant.platform.jobs.log(owner, job_id, None, 0, 65_536)
    assert (kept.data, kept.complete) == (live.data, True)


async def test_progress_is_a_row_at_most_once_a_second(plant: Plant) -> None:
    [job_id] = await plant.submit(seconds=2.5, progress_steps=200)
    await plant.end(job_id)
    assert 2 <= (await types(plant, job_id)).count("job.progress") <= 4


async def test_nothing_is_left_in_the_work_folders_of_a_living_platform(alone: Embedded) -> None:
    plant = Plant.of(alone)
    ids = [
        *await plant.submit(4, artifacts=2, artifact_bytes=50_000, log_lines=5),
        *await plant.submit(2, fail="invalid_input"),
    ]
    for job_id in ids:
        await plant.end(job_id)
    work = plant.platform.settings.data / "work"

    async def clean() -> bool:
        if alone.worker.busy:
            return False
        return {path.name for path in work.rglob("*") if path.is_file()} <= {"job.json"}

    await until(clean)
    assert await clean()


async def _true(fact: bool) -> bool:
    return fact
