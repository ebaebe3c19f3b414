"""What happens by the clock, on a whole platform whose clock the test moves."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.worker.conftest import Plant, settings, until
from usina.app import embedded
from usina.kernel.beat import Beat, Retention
from usina.kernel.clock import SystemClock
from usina.kernel.db.schema import metadata
from usina.kernel.errors import Invalid
from usina.kernel.jobs.job import JobRequest
from usina.kernel.jobs.schedule.rule import Rule
from usina.kernel.jobs.schedule.store import Plan
from usina.kernel.jobs.state import Status
from usina.kernel.telemetry import metrics_text
from usina.kernel.tenancy.audit import COMMAND
from usina.kernel.tenancy.retention import Kept


class ShiftedClock(SystemClock):
    """The machine's clock and what the test adds."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self):  # type: ignore[no-untyped-def]
        return super().now() + self.ahead


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def plant(tmp_path: Path, clock: ShiftedClock) -> AsyncIterator[Plant]:
    async with embedded(settings(tmp_path), clock) as running:
        yield Plant.of(running)


def beat_of(plant: Plant, retention: Retention) -> Beat:
    async def sweep() -> None:
        return None

    p = plant.platform
    return Beat(p.database, p.jobs, p.artifacts, p.idempotency, sweep, retention)


async def rows_of(plant: Plant, job_id: str) -> int:
    """Rows anywhere that name the job."""

    def count(tx):  # type: ignore[no-untyped-def]
        tables = [t for t in metadata.sorted_tables if "job_id" in t.c]
        return sum(
            tx.execute(
                sa.select(sa.func.count()).select_from(t).where(t.c.job_id == job_id)
            ).scalar_one()
            for t in tables
        )

    return await plant.platform.database.read(count)


async def test_old_jobs_go_with_all_that_hangs_on_them(plant: Plant, clock: ShiftedClock) -> None:
    beat = beat_of(plant, Retention(timedelta(days=1), None))
    [old] = await plant.submit(artifacts=1, artifact_bytes=50_000, log_lines=2)
    await plant.end(old)
    clock.ahead = timedelta(days=2)
    [young] = await plant.submit()
    await plant.end(young)
    assert await rows_of(plant, old) > 3
    await beat.forget_old()
    assert await rows_of(plant, old) == 0
    assert (await plant.get(young)).status is Status.SUCCEEDED
    artifacts = plant.platform.settings.data / "store/artifacts"
    assert [path for path in artifacts.rglob("*") if path.is_file()] == []


async def test_without_a_retention_nothing_goes(plant: Plant, clock: ShiftedClock) -> None:
    [job_id] = await plant.submit()
    await plant.end(job_id)
    clock.ahead = timedelta(days=10_000)
    await beat_of(plant, Retention(None, None)).forget_old()
    assert (await plant.get(job_id)).status is Status.SUCCEEDED


async def test_a_schedule_makes_a_job_that_runs(plant: Plant, clock: ShiftedClock) -> None:
    owner = plant.caller.organization_id
    request = JobRequest("echo-v1", labels={"by": "schedule"})
    plan = Plan("hourly", request, Rule(every_seconds=3600))
    made = await plant.platform.schedules.create(owner, plan)
    clock.ahead = timedelta(hours=1, seconds=1)

    async def ran() -> bool:
        return await plant.count(Status.SUCCEEDED) == 1

    await until(ran)
    assert await plant.count(Status.QUEUED) == 0
    found = await plant.platform.schedules.get(owner, made.id)
    assert found.last_job_id is not None
    assert (await plant.get(found.last_job_id)).labels == {"by": "schedule"}


async def test_queues_are_measured(plant: Plant) -> None:
    beat = beat_of(plant, Retention(None, None))
    ids = await plant.submit(5, seconds=30)
    await plant.follow(ids[0], "job.running")
    await beat.measure_queues()
    depth = next(
        line
        for line in metrics_text().decode().splitlines()
        if line.startswith('usina_queue_depth{queue="default"}')
    )
    assert float(depth.split()[1]) == 3
    for job_id in ids:
        await plant.platform.jobs.cancel(plant.caller.organization_id, job_id)


async def test_an_organization_keeps_its_jobs_for_a_shorter_time(
    plant: Plant, clock: ShiftedClock
) -> None:
    owner, beat = plant.caller.organization_id, beat_of(plant, Retention(None, None))
    [old] = await plant.submit(artifacts=1, artifact_bytes=50_000)
    await plant.end(old)
    clock.ahead = timedelta(days=3)
    await beat.forget_old()
    assert (await plant.get(old)).status is Status.SUCCEEDED
    kept = Kept(jobs_days=4)
    await plant.platform.organizations.update(owner, None, None, kept, COMMAND)
    await beat.forget_old()
    assert (await plant.get(old)).status is Status.SUCCEEDED
    await plant.platform.organizations.update(owner, None, None, Kept(jobs_days=2), COMMAND)
    await beat.forget_old()
    assert await rows_of(plant, old) == 0
    artifacts = plant.platform.settings.data / "store/artifacts"
    assert [path for path in artifacts.rglob("*") if path.is_file()] == []


async def test_what_can_not_be_run_any_more_waits_and_is_told_of(tmp_path: Path) -> None:
    """A platform that comes back without a program keeps the jobs, until it has it again."""
    folder = tmp_path / "runners/gone-v1"
    folder.mkdir(parents=True)
    told = 'usina_model_unserved{model="gone-v1",queue="default"} 1.0'

    async def started(command: str) -> Plant:
        (folder / "runner.toml").write_text(
            'name = "gone-v1"\nversion = "1"\ntask = "t"\ndescription = "d"\nlicense = "MIT"\n'
            f'command = ["{command}"]\n'
        )
        made = embedded(settings(tmp_path, runners=(folder.parent,)))
        return Plant.of(await running.enter_async_context(made))

    async with AsyncExitStack() as running:
        plant = await started("true")
        await plant.platform.queues.pause("default")
        request = JobRequest("gone-v1", max_attempts=1)
        [job] = await plant.platform.jobs.submit(plant.caller, [request])
    async with AsyncExitStack() as running:
        plant = await started("no-such-program")
        with pytest.raises(Invalid) as refused:
            await plant.platform.jobs.submit(plant.caller, [request])
        assert refused.value.code == "model_unavailable"
        await plant.platform.queues.resume("default")
        [echo] = await plant.submit()
        assert (await plant.end(echo)).status is Status.SUCCEEDED
        found = await plant.get(job.id)
        assert (found.status, found.waiting_reason) == (Status.QUEUED, "no_worker")
        beat = beat_of(plant, Retention(None, None))
        await beat.tell_unserved()
        assert told in metrics_text().decode()
    async with AsyncExitStack() as running:
        plant = await started("true")
        ended = await plant.end(job.id)
        assert (ended.attempt, ended.error and ended.error.reason) == (1, "no_result")
        await beat_of(plant, Retention(None, None)).tell_unserved()
