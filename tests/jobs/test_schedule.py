"""Schedules fire once each, whoever looks and however late."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.jobs.make import organization, silent
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Invalid
from usina.kernel.jobs import schedule
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.schedule import NewSchedule
from usina.kernel.jobs.store.insert import NewJob, insert_jobs
from usina.kernel.jobs.table import jobs, schedules

REQUEST = JobRequest(model="echo-v1", params={"seconds": 0}, labels={"by": "schedule"})


def insert(tx: Transaction, organization_id: str, request: JobRequest) -> Job:
    if request.model == "gone":
        raise Invalid.at("/model", "There is no model named 'gone'.", code="unknown_model")
    new = NewJob(
        organization_id,
        request.model,
        "1",
        "default",
        Room(1, 1024),
        dict(request.params),
        {},
        (),
        request.labels,
        0,
        3,
        60,
    )
    return insert_jobs(tx, [new], silent)[0]


async def add(database: Database, owner: str, **fields: Any) -> str:
    fields.setdefault("job", REQUEST)
    new = NewSchedule(organization_id=owner, name="nightly", **fields)
    return await database.write(lambda tx: schedule.create(tx, new))


async def fire(database: Database) -> int:
    return len(await database.write(lambda tx: schedule.fire_due(tx, insert)))


async def test_a_step_fires_when_it_is_due_and_only_then(
    database: Database, clock: FakeClock
) -> None:
    await add(database, await organization(database), every_seconds=60)
    assert await fire(database) == 0
    clock.advance(60)
    assert await fire(database) == 1
    assert await fire(database) == 0
    clock.advance(60)
    assert await fire(database) == 1


async def test_two_clockworks_at_once_make_one_job(database: Database, clock: FakeClock) -> None:
    await add(database, await organization(database), every_seconds=60)
    clock.advance(61)
    made = await asyncio.gather(*(fire(database) for _ in range(8)))
    assert sorted(made) == [0] * 7 + [1]


@pytest.mark.parametrize(("catch_up", "expected"), [("skip", 0), ("one", 1), ("all", 5)])
async def test_missed_fires_follow_the_policy(
    database: Database, clock: FakeClock, catch_up: str, expected: int
) -> None:
    await add(database, await organization(database), every_seconds=60, catch_up=catch_up)
    clock.advance(5 * 60 + 1)
    assert await fire(database) == expected
    clock.advance(59)
    assert await fire(database) == 1


async def test_cron_follows_the_wall_clock_of_its_zone_over_the_change_of_summer_time(
    database: Database, clock: FakeClock
) -> None:
    clock.moment = datetime(2026, 3, 28, 12, tzinfo=UTC)
    owner = await organization(database)
    schedule_id = await add(database, owner, cron="30 8 * * *", timezone="Europe/Lisbon")
    row = await _row(database, schedule_id)
    assert row.next_at == datetime(2026, 3, 29, 7, 30, tzinfo=UTC)
    clock.moment = row.next_at
    assert await fire(database) == 1
    assert (await _row(database, schedule_id)).next_at == datetime(2026, 3, 30, 7, 30, tzinfo=UTC)


async def test_a_refused_job_leaves_its_reason_and_the_schedule_goes_on(
    database: Database, clock: FakeClock
) -> None:
    owner = await organization(database)
    schedule_id = await add(database, owner, every_seconds=60, job=JobRequest(model="gone"))
    clock.advance(60)
    assert await fire(database) == 0
    row = await _row(database, schedule_id)
    assert row.last_error == "There is no model named 'gone'."
    assert row.next_at > clock.now()
    count = await database.read(lambda tx: tx.execute(sa.select(sa.func.count(jobs.c.id))).scalar())
    assert count == 0


@pytest.mark.parametrize(
    "rule",
    [
        {"cron": "61 * * * *"},
        {"cron": "0 0 31 2 *"},
        {"every_seconds": 0},
        {"cron": "* * * * *", "every_seconds": 5},
        {},
        {"cron": "* * * * *", "timezone": "Mars/Olympus"},
    ],
)
async def test_rules_that_never_fire_are_refused(database: Database, rule: dict[str, Any]) -> None:
    owner = await organization(database)
    with pytest.raises(Invalid):
        await add(database, owner, **rule)


async def _row(database: Database, schedule_id: str) -> sa.Row[Any]:
    query = sa.select(schedules).where(schedules.c.id == schedule_id)
    return await database.read(lambda tx: tx.execute(query).one())
