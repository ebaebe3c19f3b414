"""Which job comes next."""

import re
from collections import Counter
from datetime import timedelta

import sqlalchemy as sa

from tests.clock import FakeClock
from tests.databases import plan_of
from tests.jobs.make import LEASE, MEMORY, organization, queue, silent, take
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import JobError
from usina.kernel.jobs.store import change
from usina.kernel.jobs.store.ending import Ending, finish, hand_back
from usina.kernel.jobs.store.lease import release
from usina.kernel.jobs.store.query import find
from usina.kernel.jobs.table import jobs, queues


async def test_higher_priority_first_then_the_oldest(database: Database) -> None:
    owner = await organization(database)
    [old] = await queue(database, owner)
    [young] = await queue(database, owner)
    [urgent] = await queue(database, owner, priority=5)
    order = [(await take(database))[0].job.id for _ in range(3)]
    assert order == [urgent.id, old.id, young.id]


async def test_an_organization_with_much_work_does_not_starve_another(
    database: Database, clock: FakeClock
) -> None:
    greedy, modest = await organization(database), await organization(database)
    await queue(database, greedy, 100, priority=100)
    await queue(database, modest, 5)
    served: Counter[str] = Counter()
    for _ in range(10):
        clock.advance(0.01)
        served[(await take(database))[0].job.organization_id] += 1
    assert served == {greedy: 5, modest: 5}


async def test_one_claim_of_many_serves_the_lanes_in_turn(database: Database) -> None:
    first, second = await organization(database), await organization(database)
    await queue(database, first, 10)
    await queue(database, second, 2)
    owners = Counter(c.job.organization_id for c in await take(database, free=6))
    assert owners == {first: 4, second: 2}


async def test_more_than_the_free_slots_only_while_all_are_small(database: Database) -> None:
    owner = await organization(database)
    await queue(database, owner, 3)
    await queue(database, owner, 1, model="heavy")
    await queue(database, owner, 3)
    taken = await take(database, free=1, most=10, small=("echo-v1",))
    assert [c.job.model for c in taken] == ["echo-v1"] * 3
    assert [c.job.model for c in await take(database, free=1, most=10, small=("echo-v1",))] == [
        "heavy"
    ]


async def test_a_job_wider_than_the_worker_gets_it_whole(database: Database) -> None:
    owner = await organization(database)
    await queue(database, owner, 1, needs=Room(16, MEMORY))
    assert await take(database, free=7, capacity=8) == []
    assert len(await take(database, free=8, capacity=8)) == 1


async def test_a_wide_job_at_the_head_is_not_overtaken(database: Database) -> None:
    owner = await organization(database)
    [wide] = await queue(database, owner, 1, needs=Room(4, MEMORY))
    await queue(database, owner, 3)
    assert await take(database, free=2, capacity=4) == []
    assert (await take(database, free=4, capacity=4))[0].job.id == wide.id


async def test_what_is_warm_passes_what_came_with_it_and_nothing_else(
    database: Database, clock: FakeClock
) -> None:
    owner = await organization(database)
    [ancient] = await queue(database, owner, model="cold")
    clock.advance(6)
    [old] = await queue(database, owner, model="cold")
    clock.advance(4)
    [warm] = await queue(database, owner, model="loaded")
    [urgent] = await queue(database, owner, model="cold", priority=1)
    order = [(await take(database, warm=[("loaded", owner)]))[0].job.id for _ in range(4)]
    assert order == [urgent.id, ancient.id, warm.id, old.id]


async def test_another_organizations_warm_program_is_none(database: Database) -> None:
    owner, other = await organization(database), await organization(database)
    [old] = await queue(database, owner, model="cold")
    [young] = await queue(database, owner, model="loaded")
    assert (await take(database, warm=[("loaded", other)]))[0].job.id == old.id
    [older] = await queue(database, owner, model="cold")
    assert (await take(database, warm=[("loaded", None)]))[0].job.id == young.id
    assert (await take(database, warm=[("loaded", None)]))[0].job.id == older.id


async def test_a_warm_one_far_behind_many_cold_ones_passes_them(database: Database) -> None:
    owner = await organization(database)
    await queue(database, owner, 20, model="cold")
    warm = await queue(database, owner, 2, model="loaded")
    taken = await take(database, free=3, warm=[("loaded", owner)])
    assert [claimed.job.id for claimed in taken[:2]] == [job.id for job in warm]
    assert taken[2].job.model == "cold"


async def test_a_paused_queue_gives_nothing_and_says_why(database: Database) -> None:
    owner = await organization(database)
    [job] = await queue(database, owner)
    await database.write(
        lambda tx: tx.execute(sa.insert(queues), {"name": "default", "paused": True})
    )
    assert await take(database) == []
    found = await database.read(lambda tx: find(tx, owner, job.id, LEASE))
    assert found is not None
    assert found.waiting_reason == "queue_paused"


async def test_a_retry_waits_its_delay(database: Database, clock: FakeClock) -> None:
    owner = await organization(database)
    [job] = await queue(database, owner)
    [claimed] = await take(database)
    error = JobError.of("runner_failed", None, "no")
    await database.write(lambda tx: finish(tx, [Ending(claimed.lease, error)], 1.0, silent))
    assert await take(database) == []
    waiting = await database.read(lambda tx: find(tx, owner, job.id, LEASE))
    assert waiting is not None
    assert (waiting.waiting_reason, waiting.queue_position) == ("retry_delay", 1)
    clock.advance(1.2)
    [again] = await take(database)
    assert (again.job.id, again.job.attempt) == (job.id, 2)


async def test_delays_double_and_stay_within_ten_per_cent(
    database: Database, clock: FakeClock
) -> None:
    owner = await organization(database)
    [job] = await queue(database, owner, max_attempts=12)
    error = JobError.of("internal", None, "no")
    for attempt in range(1, 12):
        [claimed] = await take(database)
        ending = Ending(claimed.lease, error)
        await database.write(lambda tx, e=ending: finish(tx, [e], 1.0, silent))
        found = await database.read(lambda tx: find(tx, owner, job.id, LEASE))
        assert found is not None
        assert found.available_at is not None
        delay = (found.available_at - clock.now()) / timedelta(seconds=1)
        nominal = min(2 ** (attempt - 1), 300)
        assert 0.9 * nominal <= delay <= 1.1 * nominal
        clock.advance(delay)


async def test_positions_count_in_the_lane(database: Database) -> None:
    one, other = await organization(database), await organization(database)
    await queue(database, other, 5)
    first, second = await queue(database, one, 2)
    [urgent] = await queue(database, one, 1, priority=1)
    assert (first.queue_position, second.queue_position, urgent.queue_position) == (1, 2, 1)
    found = await database.read(lambda tx: find(tx, one, second.id, LEASE))
    assert found is not None
    assert found.queue_position == 3


async def test_claims_use_the_index_however_many_jobs_wait(database: Database) -> None:
    owner = await organization(database)
    await queue(database, owner, 2000)
    query = (
        sa.select(jobs.c.id)
        .where(
            jobs.c.queue == "default",
            jobs.c.organization_id == owner,
            jobs.c.status == "QUEUED",
            jobs.c.available_at.is_(None),
        )
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(1)
    )

    plan = await database.read(lambda tx: plan_of(tx, query))
    assert "ix_jobs_ready" in plan
    assert not re.search("TEMP B-TREE|Sort", plan), plan


async def test_of_jobs_that_never_began_the_cancelled_ends_and_the_others_wait(
    database: Database,
) -> None:
    owner = await organization(database)
    wanted, unwanted = await queue(database, owner, 2)
    leases = [claimed.lease for claimed in await take(database, free=2)]
    await database.write(lambda tx: change.cancel(tx, owner, unwanted.id, silent))

    def give_up(tx: Transaction) -> None:
        release(tx, leases, silent)
        hand_back(tx, leases, silent)

    await database.write(give_up)
    found = await database.read(
        lambda tx: [find(tx, owner, job.id, LEASE) for job in (wanted, unwanted)]
    )
    assert [(job.status, job.attempt) for job in found if job] == [("QUEUED", 1), ("CANCELLED", 1)]
