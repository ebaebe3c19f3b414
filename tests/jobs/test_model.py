"""Claims know models: a worker takes what it can run, wherever in its lane it stands."""

import asyncio
from dataclasses import replace

from tests.clock import FakeClock
from tests.databases import plan_of
from tests.jobs.make import LEASE, claim_now, organization, queue, silent, slots
from tests.jobs.many import multiply
from usina.kernel.db.unit_of_work import Database
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store import candidate
from usina.kernel.jobs.store.claim import ClaimRequest, Claims
from usina.kernel.jobs.store.lease import WorkerRow, heartbeat, release
from usina.kernel.jobs.store.query import find
from usina.kernel.jobs.store.worker import forget_unseen_workers, unserved

MANY = 100_000


def able(*models: str, free: int = 4) -> ClaimRequest:
    return slots(free, models=frozenset(models))


async def claims_of(database: Database, request: ClaimRequest) -> Claims:
    return await database.write(lambda tx: claim_now(tx, request))


async def taken_by(database: Database, request: ClaimRequest) -> list[str]:
    return [claimed.job.id for claimed in (await claims_of(database, request)).taken]


async def test_a_worker_takes_only_what_it_can_run_and_leaves_the_rest(database: Database) -> None:
    owner = await organization(database)
    [heavy] = await queue(database, owner, model="heavy", priority=9)
    [light] = await queue(database, owner, model="light")
    claims = await claims_of(database, able("light", "other"))
    assert [claimed.job.id for claimed in claims.taken] == [light.id]
    claims = await claims_of(database, able("light", "other"))
    assert (claims.taken, claims.exhausted) == ([], True), "it is not asked for again and again"
    assert await taken_by(database, able("heavy")) == [heavy.id]


async def test_order_within_a_lane_is_by_priority_and_age_across_its_models(
    database: Database,
) -> None:
    owner = await organization(database)
    made: list[Job] = []
    for place in range(12):
        fields = {"model": ("a", "b", "away")[place % 3], "priority": place // 6}
        made += await queue(database, owner, **fields)
    wanted = [job for job in made if job.model != "away"]
    wanted.sort(key=lambda job: (-job.priority, job.id))
    for first in range(0, len(wanted), 2):
        found = await taken_by(database, able("a", "b", free=2))
        assert found == [job.id for job in wanted[first : first + 2]]


async def test_one_it_can_run_is_found_behind_very_many_that_it_can_not(
    database: Database,
) -> None:
    owner = await organization(database)
    [pattern] = await queue(database, owner, model="heavy", priority=1)
    await multiply(database, pattern.id, [owner], MANY)
    [light] = await queue(database, owner, model="light")
    assert await taken_by(database, able("light")) == [light.id]


async def test_what_is_passed_by_is_not_read(database: Database) -> None:
    """The claim of a model goes along an index that begins with it."""
    owner = await organization(database)
    await queue(database, owner, 50, model="heavy")
    one = candidate._LANE.where(candidate.jobs.c.model == "light")
    values = {"the_queue": "default", "owner": owner, "share": 1, "memory": 1, "gpus_most": 0}
    values["gpu_memory"] = 0
    plan = await database.read(lambda tx: plan_of(tx, one, values))
    assert "ix_jobs_ready_model" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


async def test_a_lane_that_can_not_be_served_here_keeps_no_other_back(
    database: Database, clock: FakeClock
) -> None:
    """However many of them have the turn before it."""
    for _ in range(40):
        await queue(database, await organization(database), 3, model="heavy")
    clock.advance(1)
    owner = await organization(database)
    jobs = await queue(database, owner, 2, model="light")
    assert await taken_by(database, able("light", free=1)) == [jobs[0].id]
    clock.advance(1)
    assert await taken_by(database, able("light", free=1)) == [jobs[1].id]


async def test_a_first_job_that_waits_for_room_keeps_it_whatever_models_stand_before_it(
    database: Database,
) -> None:
    owner, other = await organization(database), await organization(database)
    await queue(database, owner, model="heavy")
    [large] = await queue(database, owner, model="light", needs=Room(1, 900))
    await queue(database, owner, model="light", needs=Room(1, 10))
    [small] = await queue(database, other, model="light", needs=Room(1, 10))
    request = replace(able("light"), capacity=Room(8, 1000), free=Room(4, 500))
    assert await taken_by(database, request) == []
    request = replace(request, free=Room(4, 910))
    assert set(await taken_by(database, request)) == {large.id, small.id}


async def test_a_warm_one_passes_a_cold_one_beside_models_of_others(database: Database) -> None:
    owner = await organization(database)
    await queue(database, owner, 40, model="heavy")
    [cold] = await queue(database, owner, model="cold")
    [warm] = await queue(database, owner, model="loaded")
    request = replace(able("cold", "loaded", free=1), warm=frozenset({("loaded", None)}))
    assert await taken_by(database, request) == [warm.id]
    assert await taken_by(database, request) == [cold.id]


async def test_workers_of_different_models_share_a_lane_and_take_each_job_once(
    database: Database,
) -> None:
    owner = await organization(database)
    expected: dict[str, str] = {}
    for place in range(30):
        model = ("heavy", "light", "either")[place % 3]
        [job] = await queue(database, owner, model=model)
        expected[job.id] = model

    async def work(*models: str) -> list[str]:
        mine: list[str] = []
        while True:
            claims = await claims_of(database, able(*models, free=2))
            mine += [claimed.job.id for claimed in claims.taken]
            assert {claimed.job.model for claimed in claims.taken} <= {*models}
            if claims.exhausted:
                return mine

    kinds = [("heavy", "either"), ("light", "either")] * 2
    found = await asyncio.gather(*(work(*models) for models in kinds))
    assert sorted(job for mine in found for job in mine) == sorted(expected)


async def test_a_job_whose_model_nobody_can_run_says_so_and_is_told_of(
    database: Database, clock: FakeClock
) -> None:
    owner = await organization(database)
    [job] = await queue(database, owner, model="heavy")

    async def reason() -> str | None:
        found = await database.read(lambda tx: find(tx, owner, job.id, LEASE))
        assert found is not None
        return found.waiting_reason

    async def told() -> dict[tuple[str, str], str]:
        return await database.read(lambda tx: unserved(tx, ("default", "gpu"), LEASE))

    async def comes(name: str, models: dict[str, str], queues: tuple[str, ...]) -> None:
        row = WorkerRow(new_id(), name, Room(4, 2**40), queues, models=models)
        await database.write(lambda tx: heartbeat(tx, row, [], LEASE))

    nobody = "no worker of its queue knows it"
    assert (await reason(), await told()) == ("no_worker", {("default", "heavy"): nobody})
    await comes("elsewhere", {"heavy": ""}, ("gpu",))
    await comes("small", {"heavy": "set HEAVY_PATH", "light": ""}, ("default",))
    lacking = {("default", "heavy"): "set HEAVY_PATH"}
    assert (await reason(), await told()) == ("no_worker", lacking)
    clock.advance(1)
    await comes("large", {"heavy": ""}, ("default",))
    assert (await reason(), await told()) == ("slot", {})
    clock.advance(LEASE.total_seconds() + 1)
    await database.write(forget_unseen_workers)
    assert (await reason(), await told()) == ("no_worker", {("default", "heavy"): nobody})


async def test_what_was_given_back_is_found_by_its_model_again(database: Database) -> None:
    owner = await organization(database)
    await queue(database, owner, model="heavy")
    [light] = await queue(database, owner, model="light")
    claims = await claims_of(database, able("light"))
    leases = [claimed.lease for claimed in claims.taken]
    await database.write(lambda tx: release(tx, leases, silent))
    assert await taken_by(database, able("light")) == [light.id]
