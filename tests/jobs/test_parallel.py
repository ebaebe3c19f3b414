"""Many at once on one store: nothing twice, nothing lost, and nobody waits for ever."""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from tests.jobs.make import LEASE, MEMORY, organization, queue, silent, slots
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict
from usina.kernel.events.log import read_after
from usina.kernel.events.table import events
from usina.kernel.ids import new_id
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import JobError
from usina.kernel.jobs.store import change
from usina.kernel.jobs.store.claim import Claimed, Claims, Lease, claim
from usina.kernel.jobs.store.ending import Ending, finish, rescue
from usina.kernel.jobs.store.lane import miscounted
from usina.kernel.jobs.store.lease import (
    Chunk,
    Step,
    WorkerRow,
    append_log,
    heartbeat,
    record_steps,
)
from usina.kernel.jobs.table import job_logs, jobs

WORKERS = 8


async def claims_of(database: Database, worker: str, most: int) -> Claims:
    request = slots(most, worker=worker)
    return await database.write(lambda tx: claim(tx, request, silent))


async def deadlocks(database: Database) -> int:
    def unit(tx: Transaction) -> int:
        if tx.connection.dialect.name == "sqlite":
            return 0
        tx.execute(sa.text("SELECT pg_stat_force_next_flush()"))
        of_here = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return tx.execute(sa.text(of_here)).scalar_one()

    return await database.write(unit)


async def test_eight_workers_take_every_job_once(database: Database) -> None:
    owners = [await organization(database) for _ in range(3)]
    queued = [job.id for owner in owners for job in await queue(database, owner, 60)]
    taken: Counter[str] = Counter()

    async def work() -> None:
        worker = new_id()
        while True:
            claims = await claims_of(database, worker, random.randint(1, 4))
            taken.update(claimed.job.id for claimed in claims.taken)
            if claims.exhausted:
                return

    await asyncio.gather(*(work() for _ in range(WORKERS)))
    assert taken == Counter(queued)


async def test_events_of_one_job_have_no_gap_whoever_writes(database: Database) -> None:
    owner = await organization(database)
    await queue(database, owner)
    [claimed] = (await claims_of(database, new_id(), 1)).taken
    job_id = claimed.job.id

    async def progress(number: int) -> None:
        for part in range(10):
            step = Step(claimed.lease, part / 10, f"writer {number}")
            await database.write(lambda tx, s=step: record_steps(tx, [s], silent))

    await asyncio.gather(
        *(progress(number) for number in range(WORKERS)),
        database.write(lambda tx: change.cancel(tx, owner, job_id, silent)),
    )
    told = await database.read(lambda tx: read_after(tx, owner, job_id, None, 1000))
    assert [event.seq for event in told] == list(range(1, 2 + WORKERS * 10 + 2))
    assert [event.position for event in told] == sorted(event.position for event in told)


async def test_a_whole_plant_at_once_locks_nobody_out(database: Database) -> None:
    """Workers run, callers cancel and delete, leases are rescued, all at the same rows."""
    owners = [await organization(database) for _ in range(2)]
    queued = [(job.id, owner) for owner in owners for job in await queue(database, owner, 40)]
    succeeded: Counter[str] = Counter()

    async def run(worker: WorkerRow, held: list[Claimed]) -> None:
        leases = [claimed.lease for claimed in held]
        backwards = [Step(lease, 0.5, None) for lease in reversed(leases)]
        logs = [Chunk(lease, 0, b"a line") for lease in leases]
        await asyncio.gather(
            database.write(lambda tx: heartbeat(tx, worker, leases, LEASE)),
            database.write(lambda tx: record_steps(tx, backwards, silent)),
            database.write(lambda tx: append_log(tx, logs)),
        )
        late = database.write(
            lambda tx: append_log(tx, [replace(chunk, start=6) for chunk in logs])
        )
        ends = [Ending(lease, None) for lease in reversed(leases)]
        ended, _ = await asyncio.gather(
            database.write(lambda tx: finish(tx, ends, 1.0, silent)), late
        )
        for end, state in zip(ends, ended, strict=True):
            succeeded[end.lease.job_id] += state == "SUCCEEDED"

    async def work() -> None:
        worker = WorkerRow(new_id(), "worker", Room(4, MEMORY), ("default",))
        await database.write(lambda tx: heartbeat(tx, worker, [], LEASE))
        while True:
            claims = await claims_of(database, worker.id, 4)
            if claims.taken:
                await run(worker, claims.taken)
            elif claims.exhausted:
                return

    async def meddle() -> None:
        for job_id, owner in random.sample(queued, 20):
            await database.write(lambda tx, o=owner, j=job_id: change.cancel(tx, o, j, silent))
            await database.write(lambda tx: rescue(tx, [], silent))

    await asyncio.gather(*(work() for _ in range(WORKERS)), meddle())
    rows: dict[str, Any] = await database.read(
        lambda tx: {row.id: row for row in tx.execute(sa.select(jobs))}
    )
    assert {row.status for row in rows.values()} <= {"SUCCEEDED", "CANCELLED"}
    assert all(succeeded[i] == (rows[i].status == "SUCCEEDED") for i, _ in queued)
    for job_id, owner in queued:
        told = await database.read(lambda tx, o=owner, j=job_id: read_after(tx, o, j, None, 99))
        assert [event.seq for event in told] == list(range(1, rows[job_id].last_seq + 1))
    left = await database.read(lambda tx: tx.execute(sa.select(sa.func.count(job_logs.c.job_id))))
    assert left.scalar_one() == 0
    assert await database.read(miscounted) == []
    assert await deadlocks(database) == 0


async def test_a_lost_lease_writes_nothing_however_close_the_race(database: Database) -> None:
    owner = await organization(database)
    for _ in range(10):
        [job] = await queue(database, owner, max_attempts=1)
        [claimed] = (await claims_of(database, new_id(), 1)).taken
        failed = JobError.of("runner_failed", None, "no")
        ends = (Ending(claimed.lease, None), Ending(claimed.lease, failed))
        states = await asyncio.gather(
            *(database.write(lambda tx, e=end: finish(tx, [e], 1.0, silent)) for end in ends),
            database.write(lambda tx: rescue(tx, [], silent, everything=True)),
        )
        count = sum(bool(state) and state != [None] for state in states)
        assert count == 1, states
        ghost = Lease(job.id, 1, new_id())
        assert await database.write(
            lambda tx, g=ghost: finish(tx, [Ending(g, None)], 1, silent)
        ) == [None]
        again = (await claims_of(database, new_id(), 1)).taken
        if again:
            end = Ending(again[0].lease, None)
            await database.write(lambda tx, e=end: finish(tx, [e], 1.0, silent))


async def test_a_job_that_was_deleted_in_the_race_is_gone_whole(database: Database) -> None:
    owner = await organization(database)
    for _ in range(10):
        [job] = await queue(database, owner, labels={"a": "b"})
        await database.write(lambda tx, j=job.id: change.cancel(tx, owner, j, silent))
        done = await asyncio.gather(
            database.write(lambda tx, j=job.id: change.delete(tx, owner, j)),
            database.write(lambda tx, j=job.id: change.reopen(tx, owner, j, silent)),
            return_exceptions=True,
        )
        count = sa.select(sa.func.count(events.c.position)).where(events.c.job_id == job.id)
        left = await database.read(lambda tx, q=count: tx.execute(q).scalar_one())
        deleted = not isinstance(done[0], Exception)
        assert (left == 0) == deleted
        assert deleted or isinstance(done[0], Conflict)
