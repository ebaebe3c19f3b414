"""The unit of work: what returns is durable and whole; what raises has not happened."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.databases import open_sqlite
from tests.postgres import postgres_server
from usina.kernel.db import meta
from usina.kernel.db.batch import Batch
from usina.kernel.db.meta import meta as table
from usina.kernel.db.migrations import HEAD, revision_of, upgrade_on
from usina.kernel.db.postgres import PostgresDatabase, open_postgres, upgrade_postgres
from usina.kernel.db.sqlite import open_engine
from usina.kernel.db.unit_of_work import Database, Transaction

Work = Callable[[sa.Connection], Any]
OnEmpty = Callable[[Work], Awaitable[Any]]


class Refused(Exception):
    pass


def put(tx: Transaction, key: str) -> str:
    tx.execute(sa.insert(table), {"key": key, "value": "x"})
    return key


async def keys(database: Database) -> set[str]:
    found = await database.read(lambda tx: tx.execute(sa.select(table.c.key)).scalars().all())
    return set(found) - {"platform_id", "epoch", "secret"}


async def test_a_unit_that_raises_leaves_nothing_and_spoils_no_other(database: Database) -> None:
    def bad(tx: Transaction) -> None:
        put(tx, "bad")
        raise Refused

    units = [lambda tx, n=n: put(tx, f"good {n}") for n in range(20)]
    found = await asyncio.gather(
        *(database.write(unit) for unit in units[:10]),
        database.write(bad),
        *(database.write(unit) for unit in units[10:]),
        return_exceptions=True,
    )
    assert isinstance(found[10], Refused)
    assert await keys(database) == {f"good {n}" for n in range(20)}


async def test_hooks_run_after_a_commit_and_only_then(database: Database) -> None:
    told: list[str] = []

    def unit(tx: Transaction, name: str, fails: bool) -> None:
        put(tx, name)
        tx.after_commit(lambda: told.append(name))
        if fails:
            raise Refused

    await database.write(lambda tx: unit(tx, "kept", False))
    with pytest.raises(Refused):
        await database.write(lambda tx: unit(tx, "lost", True))
    assert told == ["kept"]


async def test_a_caller_that_went_away_stops_nobody(database: Database) -> None:
    gone = asyncio.create_task(database.write(lambda tx: put(tx, "gone")))
    await asyncio.sleep(0)
    gone.cancel()
    await database.write(lambda tx: put(tx, "here"))
    assert "here" in await keys(database)


async def test_what_returned_is_on_the_disk_of_another_reader(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path, FakeClock())
    await database.write(lambda tx: put(tx, "told"))
    other = sqlite3.connect(tmp_path / "usina.sqlite")
    assert other.execute("SELECT key FROM meta").fetchall() == [("told",)]
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    await database.close()


async def test_a_write_waits_for_another_process_and_holds_up_nobody_else(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path, FakeClock())
    await database.write(lambda tx: put(tx, "before"))
    other = sqlite3.connect(tmp_path / "usina.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits = asyncio.create_task(database.write(lambda tx: put(tx, "after")))
    assert await keys(database) == {"before"}  # the loop turns, and reads go on
    assert not waits.done()
    other.execute("COMMIT")
    other.close()
    assert await waits == "after"
    assert await keys(database) == {"before", "after"}
    await database.close()


async def test_what_was_asked_before_the_end_is_written_before_it(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path, FakeClock())
    asked = [asyncio.create_task(database.write(lambda tx, n=n: put(tx, str(n)))) for n in range(9)]
    await asyncio.sleep(0)
    await database.close()
    assert [await task for task in asked] == [str(n) for n in range(9)]
    again = open_sqlite(tmp_path, FakeClock())
    assert await keys(again) == {str(n) for n in range(9)}
    await again.close()


async def test_a_batch_that_fails_is_tried_member_by_member(database: Database) -> None:
    sizes: list[int] = []

    def unit(tx: Transaction, names: object) -> list[str]:
        assert isinstance(names, list)
        sizes.append(len(names))
        if "bad" in names:
            raise Refused
        return [put(tx, name) for name in names]

    batch = Batch[str, str](database.write, unit)
    found = await asyncio.gather(
        *(batch.add(name) for name in ("a", "b", "bad", "c")), return_exceptions=True
    )
    assert [str(item) for item in found if isinstance(item, str)] == ["a", "b", "c"]
    assert isinstance(found[2], Refused)
    assert await keys(database) == {"a", "b", "c"}
    assert sizes[0] == 4


async def test_values_of_a_fresh_database_are_made_once(database: Database) -> None:
    before = await database.read(lambda tx: (meta.platform_id(tx), meta.epoch(tx), meta.secret(tx)))
    await database.write(meta.prepare)
    after = await database.read(lambda tx: (meta.platform_id(tx), meta.epoch(tx), meta.secret(tx)))
    assert before == after
    assert len(before[2]) == 32


@asynccontextmanager
async def _empty_sqlite(folder: Path) -> AsyncGenerator[OnEmpty]:
    engine = open_engine(folder / "fresh.sqlite")

    async def run(work: Work) -> Any:
        with engine.begin() as connection:
            return work(connection)

    yield run
    engine.dispose()


@asynccontextmanager
async def _empty_postgresql(_folder: Path) -> AsyncGenerator[OnEmpty]:
    server = postgres_server()
    name = await server.empty()
    engine = open_postgres(server.url(name))

    async def run(work: Work) -> Any:
        async with engine.begin() as connection:
            return await connection.run_sync(work)

    yield run
    await engine.dispose()
    await server.drop(name)


@pytest.fixture(params=[_empty_postgresql, _empty_sqlite])
async def on_empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[OnEmpty]:
    """Runs something on a connection to a database without a table, and commits."""
    async with request.param(tmp_path) as run:
        yield run


async def test_the_revision_that_starts_without_alembic_is_its_head(on_empty: OnEmpty) -> None:
    assert await on_empty(revision_of) is None
    for _ in range(2):
        await on_empty(upgrade_on)
        assert await on_empty(revision_of) == HEAD


async def test_migrations_make_exactly_the_tables_of_the_code(on_empty: OnEmpty) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from usina.kernel.db.schema import metadata
    from usina.moving import load_tables

    load_tables()
    await on_empty(upgrade_on)

    def no_partition(_object: object, name: str, kind: str, *_rest: object) -> bool:
        return kind != "table" or not name.startswith("events_")

    def differences(connection: sa.Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": False, "include_object": no_partition}
        )
        return compare_metadata(context, metadata)

    assert await on_empty(differences) == []


async def test_of_two_that_upgrade_at_once_one_does_it() -> None:
    server = postgres_server()
    name = await server.empty()
    await asyncio.gather(*(upgrade_postgres(server.url(name)) for _ in range(3)))
    database = PostgresDatabase(server.url(name))
    await asyncio.gather(*(database.write(meta.prepare) for _ in range(3)))
    assert len(await database.read(meta.epoch)) == 8
    await database.close()
    await server.drop(name)
