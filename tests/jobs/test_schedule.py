"""Schedules fire once each, whoever looks and however late."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.databases import prepare
from tests.jobs.make import organization, silent
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Invalid, NotFound
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.schedule import store
from usina.kernel.jobs.schedule.rule import Rule
from usina.kernel.jobs.schedule.store import Plan, Schedule
from usina.kernel.jobs.store.insert import NewJob, insert_jobs
from usina.kernel.jobs.store.query import files_in_jobs
from usina.kernel.jobs.table import jobs

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


async def add(
    database: Database, owner: str, catch_up: Any = "one", job: JobRequest = REQUEST, **rule: Any
) -> str:
    plan = Plan("nightly", job, Rule(**rule), catch_up)
    plan.check()
    return (await database.write(lambda tx: store.create(tx, owner, plan))).id


async def fire(database: Database) -> int:
    return len(await database.write(lambda tx: store.fire_due(tx, insert)))


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


async def test_two_platforms_at_once_make_one_job(tmp_path: Path, postgres_url: str) -> None:
    """Each with connections of its own, as two beats have."""
    one, other = PostgresDatabase(postgres_url), PostgresDatabase(postgres_url)
    await prepare(one)
    owner = await organization(one)
    ids = [await add(one, owner, every_seconds=3600) for _ in range(20)]
    due = "UPDATE schedules SET next_at = now() - interval '1 second'"
    await one.write(lambda tx: tx.execute(sa.text(due)))
    looks = await asyncio.gather(*(fire(database) for database in (one, other) * 4))
    assert sum(looks) == len(ids)
    made = {(await _row(one, owner, each)).last_job_id for each in ids}
    assert None not in made
    assert len(made) == len(ids)
    count = await one.read(lambda tx: tx.execute(sa.select(sa.func.count(jobs.c.id))).scalar())
    assert count == len(ids)
    await one.close()
    await other.close()


@pytest.mark.parametrize(("catch_up", "expected"), [("skip", 0), ("one", 1), ("all", 5)])
async def test_missed_fires_follow_the_policy(
    database: Database, clock: FakeClock, catch_up: str, expected: int
) -> None:
    owner = await organization(database)
    await add(database, owner, every_seconds=3600, catch_up=catch_up)
    clock.advance(5 * 3600 + 61)
    assert await fire(database) == expected
    clock.advance(3600 - 61)
    assert await fire(database) == 1


@pytest.mark.parametrize("rule", [{"every_seconds": 3600}, {"cron": "0 * * * *"}])
async def test_what_is_a_little_late_is_not_skipped(
    database: Database, clock: FakeClock, rule: dict[str, Any]
) -> None:
    """However many before it were missed."""
    clock.moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    await add(database, await organization(database), catch_up="skip", **rule)
    clock.advance(3600 + 60)
    assert await fire(database) == 1
    clock.advance(3600 + 1)
    assert await fire(database) == 0
    clock.moment = datetime(2026, 5, 1, 19, 0, 30, tzinfo=UTC)
    assert await fire(database) == 1


async def test_a_step_keeps_its_beat_however_late_one_looks(
    database: Database, clock: FakeClock
) -> None:
    owner = await organization(database)
    schedule_id = await add(database, owner, every_seconds=7)
    began = clock.now()
    for late in (7.9, 6.5, 7 * 1000 + 3.3, 0.1, 7 * 100_000 + 6.9):
        clock.advance(late)
        await fire(database)
        row = await _row(database, owner, schedule_id)
        assert row.next_at is not None
        assert clock.now() < row.next_at <= clock.now() + timedelta(seconds=7)
        assert (row.next_at - began) % timedelta(seconds=7) == timedelta(0)


async def test_very_many_missed_come_in_turns_and_none_is_lost(
    database: Database, clock: FakeClock
) -> None:
    await add(database, await organization(database), every_seconds=1, catch_up="all")
    clock.advance(250)
    assert [await fire(database) for _ in range(4)] == [100, 100, 50, 0]


async def test_one_that_is_not_enabled_has_no_moment(database: Database, clock: FakeClock) -> None:
    owner = await organization(database)
    schedule_id = await add(database, owner, every_seconds=60)
    off = Plan("nightly", REQUEST, Rule(every_seconds=60), enabled=False)
    changed = await database.write(lambda tx: store.replace(tx, owner, schedule_id, off))
    assert changed.next_at is None
    clock.advance(1000)
    assert await fire(database) == 0
    on = Plan("nightly", REQUEST, Rule(every_seconds=60))
    changed = await database.write(lambda tx: store.replace(tx, owner, schedule_id, on))
    assert changed.next_at == clock.now() + timedelta(seconds=60)


async def test_only_another_rule_moves_the_next_moment(
    database: Database, clock: FakeClock
) -> None:
    owner = await organization(database)
    schedule_id = await add(database, owner, cron="0 5 * * *")
    first = (await _row(database, owner, schedule_id)).next_at
    clock.advance(10)

    async def put(rule: Rule, **more: Any) -> Schedule:
        plan = Plan("another", REQUEST, rule, **more)
        return await database.write(lambda tx: store.replace(tx, owner, schedule_id, plan))

    same = await put(Rule("0 5 * * *"), catch_up="all")
    assert (same.next_at, same.plan.name, same.plan.catch_up) == (first, "another", "all")
    assert (await put(Rule("0 5 * * *", timezone="Asia/Tokyo"))).next_at != first
    stepped = await put(Rule(every_seconds=5))
    assert stepped.next_at == clock.now() + timedelta(seconds=5)


async def test_a_file_that_a_schedule_names_is_kept_for_it(database: Database) -> None:
    owner = await organization(database)
    one, two, gone = new_id(), new_id(), new_id()
    reads = JobRequest("echo-v1", inputs={"image": one, "others": [two]})
    schedule_id = await add(database, owner, every_seconds=60, job=reads)
    named = await database.read(lambda tx: files_in_jobs(tx, [one, two, gone]))
    assert named == {one, two}
    await database.write(lambda tx: store.delete(tx, owner, schedule_id))
    assert await database.read(lambda tx: files_in_jobs(tx, [one, two, gone])) == set()


async def test_another_organization_finds_none(database: Database) -> None:
    owner, other = await organization(database), await organization(database)
    schedule_id = await add(database, owner, every_seconds=60)
    plan = Plan("mine now", REQUEST, Rule(every_seconds=1))
    deeds: list[Any] = [
        lambda tx: store.find(tx, other, schedule_id),
        lambda tx: store.replace(tx, other, schedule_id, plan),
        lambda tx: store.delete(tx, other, schedule_id),
    ]
    for deed in deeds:
        with pytest.raises(NotFound):
            await database.write(deed)
    assert await database.read(lambda tx: store.page(tx, other, None, 9)) == []
    assert (await _row(database, owner, schedule_id)).plan.name == "nightly"


@pytest.mark.parametrize(
    ("cron", "zone", "start", "expected"),
    [
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            datetime(2026, 3, 28, 12, tzinfo=UTC),
            ["2026-03-29T01:00", "2026-03-30T00:30"],
            id="left out: it fires as the clock has jumped",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            datetime(2026, 10, 24, 12, tzinfo=UTC),
            ["2026-10-25T00:30", "2026-10-26T01:30"],
            id="twice: it fires once",
        ),
        pytest.param(
            "0 * * * *",
            "Europe/Berlin",
            datetime(2026, 10, 24, 23, 30, tzinfo=UTC),
            ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"],
            id="every hour is every hour, back",
        ),
        pytest.param(
            "0 * * * *",
            "Europe/Berlin",
            datetime(2026, 3, 28, 23, 30, tzinfo=UTC),
            ["2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00"],
            id="every hour is every hour, forth",
        ),
        pytest.param(
            "15 0 * * *",
            "America/Sao_Paulo",
            datetime(2018, 11, 3, 12, tzinfo=UTC),
            ["2018-11-04T03:00", "2018-11-05T02:15"],
            id="a day that begins at one o'clock",
        ),
        pytest.param(
            "0 0 29 2 *",
            "UTC",
            datetime(2026, 1, 1, tzinfo=UTC),
            ["2028-02-29T00:00", "2032-02-29T00:00"],
            id="a leap day",
        ),
    ],
)
async def test_cron_over_the_changes_of_the_clock(
    database: Database,
    clock: FakeClock,
    cron: str,
    zone: str,
    start: datetime,
    expected: list[str],
) -> None:
    clock.moment = start
    owner = await organization(database)
    schedule_id = await add(database, owner, cron=cron, timezone=zone)
    fired: list[str] = []
    for _ in expected:
        due = (await _row(database, owner, schedule_id)).next_at
        assert due is not None
        clock.moment = due
        assert await fire(database) == 1
        assert await fire(database) == 0
        fired.append(due.astimezone(UTC).isoformat(timespec="minutes").removesuffix("+00:00"))
    assert fired == expected


async def test_cron_follows_the_wall_clock_of_its_zone_over_the_change_of_summer_time(
    database: Database, clock: FakeClock
) -> None:
    clock.moment = datetime(2026, 3, 28, 12, tzinfo=UTC)
    owner = await organization(database)
    schedule_id = await add(database, owner, cron="30 8 * * *", timezone="Europe/Lisbon")
    row = await _row(database, owner, schedule_id)
    assert row.next_at == datetime(2026, 3, 29, 7, 30, tzinfo=UTC)
    assert row.next_at is not None
    clock.moment = row.next_at
    assert await fire(database) == 1
    assert (await _row(database, owner, schedule_id)).next_at == datetime(
        2026, 3, 30, 7, 30, tzinfo=UTC
    )


async def test_a_refused_job_leaves_its_reason_and_the_schedule_goes_on(
    database: Database, clock: FakeClock
) -> None:
    owner = await organization(database)
    schedule_id = await add(database, owner, every_seconds=60, job=JobRequest(model="gone"))
    clock.advance(60)
    assert await fire(database) == 0
    row = await _row(database, owner, schedule_id)
    assert row.last_error == "There is no model named 'gone'."
    assert row.next_at is not None
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
        {"every_seconds": 60, "timezone": ""},
        {"every_seconds": 60, "timezone": "../etc/passwd"},
        {"every_seconds": 365 * 24 * 3600 + 1},
        {"cron": "* * * * * *"},
        {"cron": "@daily"},
        {"cron": ""},
    ],
)
async def test_rules_that_never_fire_are_refused(database: Database, rule: dict[str, Any]) -> None:
    owner = await organization(database)
    with pytest.raises(Invalid):
        await add(database, owner, **rule)


async def _row(database: Database, owner: str, schedule_id: str) -> Schedule:
    return await database.read(lambda tx: store.find(tx, owner, schedule_id))
