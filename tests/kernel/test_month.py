"""The log on PostgreSQL lies by month: nothing is missing, the order holds, old months go whole."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.databases import plan_of
from tests.jobs.make import organization, queue, silent
from tests.kernel.test_postgres import number
from tests.postgres import postgres_server
from usina.kernel.beat import Beat, Retention
from usina.kernel.clock import SystemClock
from usina.kernel.db.migrations import upgrade_on
from usina.kernel.db.postgres import PostgresDatabase, open_postgres, upgrade_postgres
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.events.log import NewEvent, append, read_after
from usina.kernel.events.month import Month, drop_month, lacking, months, open_months
from usina.kernel.events.table import events
from usina.kernel.ids import first_id, moment_of, new_id
from usina.kernel.jobs.retention import months_over
from usina.kernel.jobs.table import jobs

OLD = Month(2025, 2)


def id_in(month: Month) -> str:
    """An id as it was made in the midst of the month."""
    return first_id(month.begins + timedelta(days=9))[:14] + new_id()[14:]


def place_of(tx: Transaction, job_id: str | None) -> str:
    """The partition that holds a job's events."""
    where = events.c.job_id.is_(None) if job_id is None else events.c.job_id == job_id
    found = sa.select(sa.literal_column("tableoid::regclass::text")).select_from(events)
    return tx.execute(found.where(where).limit(1)).scalar_one()


async def tell(database: Database, owner: str, *told: tuple[str | None, int | None]) -> None:
    new = [NewEvent(owner, job_id, seq, "told", {}) for job_id, seq in told]
    await database.write(lambda tx: append(tx, new, silent))


async def feed(database: Database, owner: str) -> list[tuple[str | None, int | None]]:
    found = await database.read(lambda tx: read_after(tx, owner, None, None, 100), tenant=owner)
    assert [event.position for event in found] == sorted(event.position for event in found)
    return [(event.job_id, event.seq) for event in found]


async def aged_job(database: Database, owner: str, month: Month, status: str) -> str:
    """A job with its event, made in the month and ended a day later unless it is queued."""
    [job] = await queue(database, owner)
    job_id = id_in(month)

    def unit(tx: Transaction) -> None:
        ended = None if status == "QUEUED" else moment_of(job_id) + timedelta(days=1)
        tx.execute(sa.delete(events).where(events.c.job_id == job.id))
        row = sa.update(jobs).where(jobs.c.id == job.id)
        tx.execute(row.values(id=job_id, status=status, finished_at=ended))
        append(tx, [NewEvent(owner, job_id, 1, "job.queued", {})], silent)

    await database.write(unit)
    return job_id


class NoRoom:
    """Stands for what the retention of events does not need."""

    def keys_of_jobs(self, _tx: Transaction, _job_ids: object) -> list[str]:
        return []

    async def delete_objects(self, _keys: object) -> None:
        """There are none."""

    async def forget_expired(self) -> None:
        """There are none."""


def beat_of(database: Database, kept: timedelta | None = timedelta(days=30)) -> Beat:
    room: Any = NoRoom()

    async def sweep() -> None:
        """Nothing."""

    return Beat(database, room, room, room, sweep, Retention(kept, None))


def test_a_month_holds_the_ids_that_were_made_in_it() -> None:
    month = Month.of(SystemClock().now())
    assert month.low <= new_id() < month.high
    assert Month.of_id(new_id()) == month
    assert Month(2025, 12).after(1) == Month(2026, 1)
    assert Month(2026, 1).low == Month(2025, 12).high
    assert moment_of(Month(2026, 3).low) == datetime(2026, 3, 1, tzinfo=UTC)
    assert Month(2026, 3).name == "events_2026_03"


async def test_what_was_told_before_there_were_months_lies_in_them_afterwards() -> None:
    server = postgres_server()
    name = await server.empty()
    engine = open_postgres(server.url(name))
    owner, old, recent, now = new_id(), id_in(OLD), new_id(), datetime.now(UTC)
    told = [(recent, 1), (old, 1), (None, None), (old, 2)]

    def before(connection: sa.Connection) -> None:
        upgrade_on(connection, "0007")
        rows = [
            {"organization_id": owner, "job_id": job_id, "seq": seq}
            | {"type": "told", "at": now, "data": {}}
            for job_id, seq in told
        ]
        for row in rows:
            connection.execute(sa.insert(events), row)

    async with engine.begin() as connection:
        await connection.run_sync(before)
    await engine.dispose()
    await upgrade_postgres(server.url(name))
    database = PostgresDatabase(server.url(name))
    await tell(database, owner, (old, 3))
    assert await feed(database, owner) == [*told, (old, 3)]
    assert await database.read(lambda tx: place_of(tx, old)) == OLD.name
    assert await database.read(lambda tx: place_of(tx, recent)) == Month.of_id(recent).name
    assert await database.read(lambda tx: place_of(tx, None)) == "events_of_no_job"
    opened = await database.read(months)
    assert opened[0] == OLD
    assert opened == [OLD.after(step) for step in range(len(opened))]
    await database.close()
    await server.drop(name)


async def test_a_number_of_a_job_stands_once_in_every_place(postgres: PostgresDatabase) -> None:
    owner = await organization(postgres)
    for job_id in (new_id(), id_in(OLD), id_in(Month(2031, 1))):
        await tell(postgres, owner, (job_id, 1))
        with pytest.raises(Exception, match="duplicate key"):
            await tell(postgres, owner, (job_id, 1))


async def test_an_event_that_finds_no_month_is_kept_and_moves_there_once_it_is_opened(
    postgres: PostgresDatabase,
) -> None:
    owner = await organization(postgres)
    early, other = Month(2031, 1), id_in(Month(2031, 2))
    job_id = id_in(early)
    told = [(new_id(), 1), (job_id, 1), (other, 1), (None, None), (job_id, 2)]
    await tell(postgres, owner, *told)
    assert await postgres.read(lambda tx: place_of(tx, job_id)) == "events_stray"
    for _ in range(2):
        await postgres.write(lambda tx: open_months(tx, [early]))
    assert await postgres.read(lambda tx: place_of(tx, job_id)) == early.name
    assert await postgres.read(lambda tx: place_of(tx, other)) == "events_stray"
    await tell(postgres, owner, (job_id, 3))
    assert await feed(postgres, owner) == [*told, (job_id, 3)]


async def test_months_are_opened_ahead_by_any_number_of_beats(postgres: PostgresDatabase) -> None:
    def close_two(tx: Transaction) -> None:
        for ahead in (0, 2):
            tx.execute(sa.text(f"DROP TABLE {Month.of(tx.now).after(ahead).name}"))

    def as_owner(tx: Transaction) -> None:
        tx.execute(sa.text("RESET ROLE"))
        close_two(tx)

    await postgres.write(as_owner)
    assert len(await postgres.read(lacking)) == 2
    await asyncio.gather(*(beat_of(postgres).open_months() for _ in range(3)))
    assert await postgres.read(lacking) == []
    coming = [Month.of(SystemClock().now()).after(ahead) for ahead in range(4)]
    assert set(coming) <= set(await postgres.read(months))


async def test_an_old_month_goes_whole_once_none_of_its_jobs_remains(
    postgres: PostgresDatabase,
) -> None:
    owner = await organization(postgres)
    await postgres.write(lambda tx: open_months(tx, [OLD, OLD.after(1)]))
    for status in ("SUCCEEDED", "FAILED", "CANCELLED"):
        await aged_job(postgres, owner, OLD, status)
    gone = await aged_job(postgres, owner, OLD.after(1), "SUCCEEDED")
    waits = await aged_job(postgres, owner, OLD.after(1), "QUEUED")
    await tell(postgres, owner, (None, None))
    assert await postgres.read(lambda tx: months_over(tx, tx.now)) == [OLD]
    await beat_of(postgres, None).forget_old()
    assert len(await feed(postgres, owner)) == 6
    await beat_of(postgres).forget_old()
    left = await postgres.read(months)
    assert OLD not in left
    assert OLD.after(1) in left
    assert await feed(postgres, owner) == [(waits, 1), (None, None)]
    assert gone not in str(await feed(postgres, owner))


async def test_the_rows_of_a_month_that_goes_are_not_deleted_one_by_one(
    postgres: PostgresDatabase,
) -> None:
    owner = await organization(postgres)
    await postgres.write(lambda tx: open_months(tx, [OLD]))
    await aged_job(postgres, owner, OLD, "SUCCEEDED")
    looked: list[int] = []

    class Watched(NoRoom):
        async def delete_objects(self, _keys: object) -> None:
            count = f"SELECT count(*) FROM events WHERE job_id < '{OLD.high}'"
            looked.append(await postgres.read(lambda tx: number(tx, count)))

    beat = beat_of(postgres)
    beat._artifacts = Watched()  # type: ignore[assignment]
    await beat.forget_old()
    assert looked == [1]
    assert await feed(postgres, owner) == []


async def test_a_job_that_is_there_again_keeps_its_month(postgres: PostgresDatabase) -> None:
    """It was reopened after its month was found to be over."""
    owner = await organization(postgres)
    await postgres.write(lambda tx: open_months(tx, [OLD]))
    job_id = await aged_job(postgres, owner, OLD, "FAILED")
    assert await postgres.read(lambda tx: months_over(tx, tx.now)) == [OLD]
    assert not await postgres.write(lambda tx: drop_month(tx, OLD))
    assert await feed(postgres, owner) == [(job_id, 1)]


async def test_what_is_told_of_a_month_that_has_gone_is_kept(postgres: PostgresDatabase) -> None:
    owner = await organization(postgres)
    await postgres.write(lambda tx: open_months(tx, [OLD]))
    assert await postgres.write(lambda tx: drop_month(tx, OLD))
    assert not await postgres.write(lambda tx: drop_month(tx, OLD))
    late = id_in(OLD)
    await tell(postgres, owner, (late, 1))
    assert await feed(postgres, owner) == [(late, 1)]


def analyze(tx: Transaction) -> None:
    tx.execute(sa.text("RESET ROLE"))
    tx.execute(sa.text("ANALYZE events"))


@pytest.mark.parametrize("as_caller", [True, False])
async def test_the_feed_is_read_from_indexes_of_few_places_and_a_job_from_one(
    postgres: PostgresDatabase, as_caller: bool
) -> None:
    owner = await organization(postgres)
    made = [job.id for job in await queue(postgres, owner, 200)]
    await tell(postgres, owner, *((job_id, seq) for job_id in made for seq in range(2, 6)))
    await postgres.write(analyze)
    query = sa.select(events).where(events.c.organization_id == sa.bindparam("owner"))
    after = query.where(events.c.position > sa.bindparam("after")).order_by(events.c.position)
    of_job = query.where(events.c.job_id == sa.bindparam("job")).order_by(events.c.seq)
    values = {"owner": owner, "after": 7, "job": made[0]}

    def plans(tx: Transaction) -> list[str]:
        return [plan_of(tx, each.limit(9), values) for each in (after, of_job)]

    of_feed, one = await postgres.read(plans, tenant=owner if as_caller else None)
    assert "Seq Scan" not in of_feed + one
    assert "Sort  (cost" not in of_feed
    assert of_feed.count("Index Scan") == 6  # four months, of no job, stray
    assert "_job_id_seq_idx" in one
    of_month = re.findall(r"on (events_\d{4}_\d\d)", one)
    assert set(of_month) == {Month.of(moment_of(made[0])).name}


async def test_on_sqlite_there_are_no_months_and_nothing_to_do(database: Database) -> None:
    def known(tx: Transaction) -> tuple[str, list[Month]]:
        return tx.connection.dialect.name, [*months(tx), *lacking(tx)]

    engine, found = await database.read(known)
    assert (engine == "sqlite") == (found == [])
    await beat_of(database).open_months()
    await beat_of(database).forget_old()
