"""Queues and workers as operators see and steer them, on every engine."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.databases import plan_of
from tests.jobs.make import ABLE, LEASE, organization, queue, silent, take
from tests.jobs.test_parallel import claims_of
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import NotFound
from usina.kernel.events.bus import Bus, worker_topic
from usina.kernel.ids import new_id
from usina.kernel.jobs.queue import Queue, Queues
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import JobError, Status
from usina.kernel.jobs.store import change
from usina.kernel.jobs.store.claim import Claimed
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.lease import Standing, WorkerRow, heartbeat
from usina.kernel.jobs.store.query import JobFilter, find, page
from usina.kernel.jobs.store.queue import _newest_ends, throughput
from usina.kernel.jobs.table import jobs
from usina.kernel.jobs.worker import Workers
from usina.kernel.registry import Registry

ALIVE = timedelta(seconds=30)


class Told:
    """A dispatch that remembers."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def work(self, queue: str) -> None:
        self.woken.append(queue)

    def cancel(self, job_id: str) -> None:
        raise AssertionError("nothing is cancelled here")


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def queues(database: Database, told: Told) -> Queues:
    return Queues(database, told, Registry(()), ALIVE)


@pytest.fixture
def workers(database: Database) -> Workers:
    return Workers(database, Bus(), ALIVE)


async def named(queues: Queues, name: str = "default") -> Queue:
    return {found.name: found for found in await queues.list()}[name]


async def beat(database: Database, worker: WorkerRow) -> Standing:
    return await database.write(lambda tx: heartbeat(tx, worker, [], LEASE))


async def end(database: Database, claimed: Sequence[Claimed], error: JobError | None) -> None:
    endings = [Ending(each.lease, error) for each in claimed]
    await database.write(lambda tx: finish(tx, endings, 1.0, silent))


async def reason(database: Database, owner: str, job_id: str) -> str | None:
    """What the job and the list say, which is the same."""
    one = await database.read(lambda tx: find(tx, owner, job_id, ALIVE))
    listed = await database.read(lambda tx: page(tx, owner, JobFilter(), None, 50, ALIVE))
    [same] = [job for job in listed if job.id == job_id]
    assert one is not None
    assert one.waiting_reason == same.waiting_reason
    return one.waiting_reason


async def test_an_idle_platform_has_three_empty_queues(queues: Queues) -> None:
    found = await queues.list()
    assert [each.name for each in found] == ["default", "gpu", "io"]
    for each in found:
        assert (each.paused, each.depth, each.running, each.oldest_wait) == (False, 0, 0, None)
        assert (each.finished, each.workers, each.warm) == (0, [], {})


async def test_what_waits_and_what_runs_is_counted(
    database: Database, queues: Queues, clock: FakeClock
) -> None:
    owner, other = await organization(database), await organization(database)
    await queue(database, owner, 3)
    clock.advance(5)
    await queue(database, other, 2)
    await queue(database, owner, queue="gpu")
    await take(database, free=2)
    clock.advance(10)
    default = await named(queues)
    assert (default.depth, default.running) == (3, 2)
    assert default.oldest_wait == timedelta(seconds=15)
    gpu = await named(queues, "gpu")
    assert (gpu.depth, gpu.running, gpu.oldest_wait) == (1, 0, timedelta(seconds=10))


async def test_throughput_counts_what_workers_brought_to_an_end(
    database: Database, queues: Queues, clock: FakeClock
) -> None:
    owner = await organization(database)
    await queue(database, owner, 8, max_attempts=1)
    await end(database, await take(database, free=3), None)
    await end(database, await take(database, free=1), JobError.of("runner_failed", None, "no"))
    [cancelled] = await queue(database, owner)
    await database.write(lambda tx: change.cancel(tx, owner, cancelled.id, silent))
    found = await named(queues)
    assert (found.finished, found.window) == (4, timedelta(seconds=600))
    assert (await named(queues, "gpu")).finished == 0
    clock.advance(599)
    await end(database, await take(database, free=1), None)
    assert (await named(queues)).finished == 5
    clock.advance(2)
    assert (await named(queues)).finished == 1


async def test_throughput_of_very_many_is_that_of_the_newest(
    database: Database, clock: FakeClock
) -> None:
    """However many ended, so many are looked at, by the index of ends."""
    owner = await organization(database)
    for _ in range(6):
        await queue(database, owner)
        await end(database, await take(database, free=1), None)
        clock.advance(10)
    found = await database.read(lambda tx: throughput(tx, most=3))
    assert found.finished == {"default": 3}
    assert found.window == timedelta(seconds=30)
    plan = await database.read(lambda tx: plan_of(tx, _newest_ends(tx.now, 3)))
    assert "ix_jobs_finished_at" in plan


async def test_a_paused_queue_gives_nothing_out_until_it_is_resumed(
    database: Database, queues: Queues, told: Told
) -> None:
    owner = await organization(database)
    await queue(database, owner, 2)
    [running] = await take(database, free=1)
    assert (await queues.pause("default")).paused
    assert (await queues.pause("default")).paused
    assert await take(database, free=4) == []
    await end(database, [running], None)
    assert (await named(queues)).finished == 1
    assert told.woken == []
    assert not (await queues.resume("default")).paused
    assert told.woken == ["default"]
    assert not (await queues.resume("default")).paused
    assert len(await take(database, free=4)) == 1


@pytest.mark.parametrize("name", ["", "DEFAULT", "default ", "none", "queue:default"])
async def test_there_is_no_other_queue(queues: Queues, name: str) -> None:
    for change_it in (queues.pause, queues.resume):
        with pytest.raises(NotFound):
            await change_it(name)
    assert [each.paused for each in await queues.list()] == [False] * 3


async def test_a_pause_in_the_midst_of_claims_holds(database: Database, queues: Queues) -> None:
    """Claims that were under way may end; the next ones find nothing, and none is taken twice."""
    owner = await organization(database)
    await queue(database, owner, 400)
    paused = asyncio.Event()
    before: list[str] = []
    after: list[str] = []

    async def work(worker: str) -> None:
        looks_after = 0
        while looks_after < 3:
            known = paused.is_set()
            claims = await claims_of(database, worker, 2)
            (after if known else before).extend(claimed.job.id for claimed in claims.taken)
            looks_after += known

    async def pause() -> None:
        while len(before) < 20:
            await asyncio.sleep(0)
        await asyncio.gather(*(queues.pause("default") for _ in range(3)))
        paused.set()

    await asyncio.gather(pause(), *(work(new_id()) for _ in range(6)))
    assert 20 <= len(before) < 400
    assert after == []
    assert len(set(before)) == len(before)
    found = await named(queues)
    assert (found.running, found.depth) == (len(before), 400 - len(before))
    await queues.resume("default")
    assert len(await take(database, free=8)) == 8


async def test_why_a_job_waits(
    database: Database, queues: Queues, workers: Workers, clock: FakeClock
) -> None:
    owner = await organization(database)
    [job] = await queue(database, owner)
    assert await reason(database, owner, job.id) == "no_worker"
    elsewhere = WorkerRow(new_id(), "gpu box", Room(1, 2**40), queues=("gpu",), models=ABLE)
    await beat(database, elsewhere)
    assert await reason(database, owner, job.id) == "no_worker"
    worker = WorkerRow(new_id(), "box", Room(2, 2**40), queues=("default", "io"), models=ABLE)
    await beat(database, worker)
    assert await reason(database, owner, job.id) == "slot"
    await workers.drain(worker.id, draining=True)
    assert await reason(database, owner, job.id) == "no_worker"
    await workers.drain(worker.id, draining=False)
    await queues.pause("default")
    assert await reason(database, owner, job.id) == "queue_paused"
    await queues.resume("default")
    await end(database, await take(database), JobError.of("unavailable", None, "later"))
    assert await reason(database, owner, job.id) == "retry_delay"
    await queues.pause("default")
    assert await reason(database, owner, job.id) == "queue_paused"
    await queues.resume("default")
    clock.advance(3)
    assert await reason(database, owner, job.id) == "slot"
    clock.advance(60)
    assert await reason(database, owner, job.id) == "no_worker"


async def test_what_serves_a_queue(
    database: Database, queues: Queues, workers: Workers, clock: FakeClock
) -> None:
    owner = await organization(database)
    both = WorkerRow(new_id(), "both", Room(4, 2**40), queues=("default", "gpu"), models=ABLE)
    one = WorkerRow(new_id(), "one", Room(2, 2**40), queues=("default",), models=ABLE)
    for worker in (both, one):
        await beat(database, worker)
    await queue(database, owner, 3, needs=Room(2, 1))
    for job in await take(database, free=6):
        held = sa.update(jobs).where(jobs.c.id == job.job.id)
        await database.write(lambda tx, held=held: tx.execute(held.values(worker_id=one.id)))
    default, gpu = await named(queues), await named(queues, "gpu")
    assert {worker.id for worker in default.workers} == {both.id, one.id}
    assert [worker.id for worker in gpu.workers] == [both.id]
    busy = {worker.id: worker.busy_slots for worker in default.workers}
    assert busy == {both.id: 0, one.id: 2}, "more than it has is all that it has"
    await workers.drain(one.id, draining=True)
    assert [worker.id for worker in (await named(queues)).workers] == [both.id]
    clock.advance(31)
    assert (await named(queues)).workers == []


async def test_a_drain_is_heard_with_the_next_heartbeat(
    database: Database, clock: FakeClock
) -> None:
    bus = Bus()
    workers = Workers(database, bus, ALIVE)
    row = WorkerRow(
        new_id(), "box", Room(2, 2**40), queues=("default",), models=ABLE, warm=("echo-v1",)
    )
    assert not (await beat(database, row)).draining
    with bus.listen(worker_topic(row.id)) as listener:
        for _ in range(2):
            seen = await workers.drain(row.id, draining=True)
            assert (seen.draining, seen.warm, seen.busy_slots) == (True, ["echo-v1"], 0)
        assert await listener.wait(1)
    assert (await beat(database, row)).draining
    assert not (await workers.drain(row.id, draining=False)).draining
    assert not (await beat(database, row)).draining
    clock.advance(31)
    for gone in (row.id, new_id(), "x"):
        with pytest.raises(NotFound):
            await workers.drain(gone, draining=True)


async def test_a_job_that_ends_as_cancelled_is_no_throughput(
    database: Database, queues: Queues
) -> None:
    owner = await organization(database)
    [job] = await queue(database, owner)
    claimed = await take(database)
    await database.write(lambda tx: change.cancel(tx, owner, job.id, silent))
    await end(database, claimed, None)
    found = await database.read(lambda tx: find(tx, owner, job.id, ALIVE))
    assert found is not None
    assert found.status is Status.CANCELLED
    assert (await named(queues)).finished == 0
