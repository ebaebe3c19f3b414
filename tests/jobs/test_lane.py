"""Lanes: what they count, whose turn it is, and that none of it depends on how much waits."""

import random
import re
from dataclasses import replace

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.databases import plan_of
from tests.jobs.make import (
    ABLE,
    LEASE,
    MEMORY,
    NEW_JOB,
    claim_now,
    organization,
    queue,
    silent,
    slots,
    take,
)
from tests.jobs.many import multiply
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.ids import new_id
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import JobError
from usina.kernel.jobs.store import change, lane
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.insert import insert_jobs
from usina.kernel.jobs.store.lane import Lane
from usina.kernel.jobs.store.lease import WorkerRow, heartbeat
from usina.kernel.jobs.store.query import find, positions
from usina.kernel.jobs.store.queue import depths, oldest_of
from usina.kernel.jobs.store.worker import fleet
from usina.kernel.jobs.table import lanes

MANY = 100_000
BATCH = 8


@pytest.mark.parametrize("batch", [1, BATCH])
async def test_one_job_waits_for_at_most_one_batch_of_each_slot_beside_many(
    database: Database, clock: FakeClock, batch: int
) -> None:
    greedy, modest = await organization(database), await organization(database)
    [pattern] = await queue(database, greedy)
    await multiply(database, pattern.id, [greedy], MANY)
    small = ("echo-v1",)
    for lately in (greedy, modest):
        [single] = await queue(database, modest)
        if lately is modest:  # which was served last, so the other one's turn comes first
            assert (await take(database)).pop().job.organization_id == greedy
            clock.advance(0.01)
        before = 0
        while True:
            clock.advance(0.01)
            taken = [c.job.id for c in await take(database, most=batch, small=small)]
            assert len(taken) == batch
            if single.id in taken:
                break
            before += 1
        assert before <= 1, "nobody is served twice before it"


async def test_what_waits_is_counted_whatever_happens_to_it(
    database: Database, clock: FakeClock
) -> None:
    owner = await organization(database)
    first, second, third = await queue(database, owner, 3)
    assert await _depth(database) == 3
    [claimed] = await take(database)
    assert await _depth(database) == 2
    failed = Ending(claimed.lease, JobError.of("internal", None, "no"))
    await database.write(lambda tx: finish(tx, [failed], 1.0, silent))
    assert await _depth(database) == 3, "a job that waits for its next attempt waits too"
    await database.write(lambda tx: change.cancel(tx, owner, first.id, silent))
    await database.write(lambda tx: change.cancel(tx, owner, second.id, silent))
    assert await _depth(database) == 1
    await database.write(lambda tx: change.reopen(tx, owner, first.id, silent))
    clock.advance(5)
    assert {c.job.id for c in await take(database, free=8)} == {first.id, third.id}
    assert await _depth(database) == 0
    assert await database.read(lane.miscounted) == []


async def _depth(database: Database) -> int:
    return sum(found.depth for found in await database.read(depths))


async def test_what_is_rolled_back_was_never_counted(database: Database) -> None:
    owner = await organization(database)
    new = replace(NEW_JOB, organization_id=owner)

    def unit(tx: Transaction) -> None:
        insert_jobs(tx, [new] * 5, silent)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(unit)
    assert await _depth(database) == 0
    assert await take(database) == []


async def test_the_oldest_job_of_a_queue_tells_how_long_it_waits(
    database: Database, clock: FakeClock
) -> None:
    owner = await organization(database)
    [oldest] = await queue(database, owner)
    clock.advance(60)
    await queue(database, owner, priority=50)
    await queue(database, owner, queue="gpu")
    found = {depth.queue: depth for depth in await database.read(depths)}
    assert (found["default"].depth, found["default"].oldest) == (2, oldest.created_at)
    assert found["gpu"].oldest == clock.now()


async def test_a_lane_that_was_miscounted_by_hand_is_put_right(database: Database) -> None:
    owner = await organization(database)
    [job] = await queue(database, owner)
    wrong = sa.update(lanes).values(ready=0, has_work=False)
    await database.write(lambda tx: tx.execute(wrong).rowcount)
    assert await take(database) == []
    found = await database.read(lane.miscounted)
    assert found == [Lane("default", owner)]
    await database.write(lambda tx: lane.count_anew(tx, found[0]))
    assert [claimed.job.id for claimed in await take(database)] == [job.id]
    assert await database.read(lane.miscounted) == []


async def test_a_submit_tells_the_place_that_a_look_would_tell(database: Database) -> None:
    owner = await organization(database)
    lot = random.Random(5)
    for _ in range(40):
        made = await queue(database, owner, lot.randint(1, 3), priority=lot.randint(-2, 2))
        look = await database.read(lambda tx, m=made: positions(tx, m))
        assert all(job.queue_position == look[job.id] for job in made)


async def test_places_end_at_a_thousand(database: Database) -> None:
    owner = await organization(database)
    made = await queue(database, owner, 1001)
    assert [job.queue_position for job in made[-2:]] == [1000, None]
    [beyond] = await queue(database, owner)
    [urgent] = await queue(database, owner, priority=1)
    assert (beyond.queue_position, urgent.queue_position) == (None, 1)
    await take(database, free=4)
    [behind] = await queue(database, owner)
    assert behind.queue_position == 1000


async def test_a_claim_and_a_place_are_found_by_their_indexes(database: Database) -> None:
    owner = await organization(database)
    await queue(database, owner, 50)
    turn = sa.select(lanes.c.organization_id).where(lanes.c.queue == "default", lanes.c.has_work)
    ordered = turn.order_by(lanes.c.served_at, lanes.c.organization_id).limit(1)
    assert "ix_lanes_turn" in await database.read(lambda tx: plan_of(tx, ordered))
    plan = await database.read(lambda tx: plan_of(tx, oldest_of("default")))
    assert "ix_jobs_waiting" in plan
    assert not re.search("TEMP B-TREE|Sort", plan), plan


async def test_lanes_without_work_are_not_looked_at(database: Database) -> None:
    owners = [await organization(database) for _ in range(20)]
    for owner in owners:
        await queue(database, owner)
    assert len(await take(database, free=20)) == 20
    assert await database.read(lambda tx: lane.in_turn(tx, ("default", "gpu"), 50)) == {}
    [job] = await queue(database, owners[7], queue="gpu")
    turn = await database.read(lambda tx: lane.in_turn(tx, ("default", "gpu"), 50))
    assert turn == {Lane("gpu", owners[7]): {"echo-v1"}}
    assert job.queue_position == 1


async def test_a_claim_takes_what_fits_in_the_memory_that_is_free(database: Database) -> None:
    owner = await organization(database)
    await queue(database, owner, 4, needs=Room(1, 400))
    whole, free = Room(8, 1000), Room(6, 900)
    request = replace(slots(6), capacity=whole, free=free)
    assert len((await database.write(lambda tx: claim_now(tx, request))).taken) == 2


async def test_a_job_that_needs_more_than_the_worker_has_is_left_to_another(
    database: Database,
) -> None:
    owner, other = await organization(database), await organization(database)
    [large] = await queue(database, owner, needs=Room(1, 5000))
    [gpu] = await queue(database, owner, needs=Room(1, 10, 1))
    [small] = await queue(database, owner, needs=Room(1, 10))
    [its] = await queue(database, other, needs=Room(1, 5000))
    here, there = Room(4, 1000), Room(4, 20_000, 1)
    request = replace(slots(4), capacity=here, free=here)
    claims = await database.write(lambda tx: claim_now(tx, request))
    assert [claimed.job.id for claimed in claims.taken] == [small.id]
    assert claims.exhausted, "and it is not looked for again and again"
    request = replace(slots(4), capacity=there, free=there)
    claims = await database.write(lambda tx: claim_now(tx, request))
    assert {claimed.job.id for claimed in claims.taken} == {large.id, gpu.id, its.id}


async def test_small_jobs_do_not_starve_a_large_one(database: Database, clock: FakeClock) -> None:
    """It begins once what ran when its turn came has ended, though small ones come without end."""
    tall, busy = await organization(database), await organization(database)
    whole = Room(4, 1000)
    await queue(database, busy, 4, needs=Room(1, 100))
    running = [c.job.needs for c in await take(database, free=4, capacity=4)]
    [large] = await queue(database, tall, needs=Room(1, 900))
    await queue(database, tall, 3, needs=Room(1, 10))
    passed = 0
    while True:
        clock.advance(0.01)
        await queue(database, busy, 4, needs=Room(1, 100))
        running.pop(0)
        free = whole
        for needs in running:
            free = free.less(needs)
        request = replace(slots(free.slots), capacity=whole, free=free)
        taken = (await database.write(lambda tx, r=request: claim_now(tx, r))).taken
        running += [claimed.needs for claimed in taken]
        if large.id in {claimed.job.id for claimed in taken}:
            break
        passed += len(taken)
    assert passed <= 1, "only what fits beside it passes, and none of its own lane"


async def test_a_job_that_waits_for_a_gpu_keeps_nobody_else_from_the_cores(
    database: Database,
) -> None:
    owner, other = await organization(database), await organization(database)
    await queue(database, owner, needs=Room(1, 10, 1))
    [plain] = await queue(database, other, needs=Room(1, 10))
    request = replace(slots(4), capacity=Room(8, 1000, 1), free=Room(4, 500, 0))
    taken = (await database.write(lambda tx: claim_now(tx, request))).taken
    assert [claimed.job.id for claimed in taken] == [plain.id]


async def test_a_job_that_no_worker_could_run_says_so(database: Database) -> None:
    owner = await organization(database)
    cases = {
        "slot": {"needs": Room(64, MEMORY, 1)},
        "no_worker": {"needs": Room(1, 4 * MEMORY)},
        "no_worker ": {"needs": Room(1, MEMORY, 2)},
        "no_worker  ": {"queue": "io"},
    }
    worker = WorkerRow(new_id(), "worker", Room(2, 2 * MEMORY, 1), ("default", "gpu"), models=ABLE)
    for known in (False, True):
        for reason, fields in cases.items():
            now = await database.read(lambda tx: fleet(tx, LEASE))
            new = replace(NEW_JOB, organization_id=owner, **fields)
            [job] = await database.write(lambda tx, n=new, f=now: insert_jobs(tx, [n], silent, f))
            found = await database.read(lambda tx, j=job.id: find(tx, owner, j, LEASE))
            assert found is not None
            assert found.waiting_reason == job.waiting_reason
            assert job.waiting_reason == (reason.strip() if known else "no_worker")
        await database.write(lambda tx: heartbeat(tx, worker, [], LEASE))
