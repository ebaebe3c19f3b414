"""What only a server can do to a unit: go away, say no, let another in between."""

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util.concurrency import await_

from tests.postgres import postgres_server
from usina.kernel.db.meta import meta
from usina.kernel.db.postgres import PostgresDatabase, PostgresOptions
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import StorageFull, Unavailable

LOST = DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError


def put(tx: Transaction, key: str) -> None:
    tx.execute(sa.insert(meta), {"key": key, "value": ""})


def change(tx: Transaction, key: str, value: str) -> None:
    tx.execute(sa.update(meta).where(meta.c.key == key).values(value=value))


def keys(tx: Transaction) -> list[str]:
    return sorted(tx.execute(sa.select(meta.c.key)).scalars())


def number(tx: Transaction, sql: str) -> int:
    return tx.execute(sa.text(sql)).scalar_one()


def refuse(tx: Transaction, sqlstate: str) -> None:
    """What the server would say by itself, said at once."""
    words = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$"
    tx.execute(sa.text(words))


async def test_the_time_is_the_databases(postgres: PostgresDatabase) -> None:
    def unit(tx: Transaction) -> tuple[object, object]:
        return tx.now, tx.execute(sa.select(sa.func.transaction_timestamp())).scalar_one()

    for ask in (postgres.write, postgres.read):
        ours, theirs = await ask(unit)
        assert ours == theirs


async def test_a_read_is_one_snapshot_and_writes_nothing(postgres: PostgresDatabase) -> None:
    def unit(tx: Transaction) -> list[list[str]]:
        before = keys(tx)
        await_(postgres.write(lambda other: put(other, "meanwhile")))
        return [before, keys(tx)]

    assert await postgres.read(unit) == [[], []]
    assert await postgres.read(keys) == ["meanwhile"]
    with pytest.raises(DBAPIError):
        await postgres.read(lambda tx: put(tx, "no"))
    assert await postgres.read(keys) == ["meanwhile"]


async def test_callers_that_go_away_leave_their_work_whole_and_no_connection_in_use(
    postgres_url: str,
) -> None:
    database = PostgresDatabase(postgres_url, PostgresOptions(connections=2))

    def slow(tx: Transaction, key: str) -> None:
        number(tx, "SELECT 1 FROM pg_sleep(0.02)")
        put(tx, key)

    asked = [
        asyncio.create_task(database.write(lambda tx, n=n: slow(tx, str(n)))) for n in range(9)
    ]
    asked += [asyncio.create_task(database.read(keys)) for _ in range(9)]
    for task in asked:
        await asyncio.sleep(0.001)
        task.cancel()
    await asyncio.wait(asked)
    await asyncio.gather(*(database.write(lambda tx, n=n: put(tx, f"b{n}")) for n in range(4)))
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert await database.read(lambda tx: number(tx, open_ones)) <= 2
    await database.close()
    again = PostgresDatabase(postgres_url)
    assert len(await again.read(keys)) == 13
    await again.close()


async def test_what_was_asked_before_the_end_is_written_and_nothing_later(
    postgres_url: str,
) -> None:
    database = PostgresDatabase(postgres_url)
    asked = [asyncio.create_task(database.write(lambda tx, n=n: put(tx, str(n)))) for n in range(9)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*asked)
    with pytest.raises(RuntimeError, match="closed"):
        await database.write(lambda tx: put(tx, "late"))
    with pytest.raises(RuntimeError, match="closed"):
        await database.read(keys)
    again = PostgresDatabase(postgres_url)
    assert await again.read(keys) == [str(n) for n in range(9)]
    await again.close()


async def test_lost_connections_are_made_anew(postgres: PostgresDatabase) -> None:
    await asyncio.gather(*(postgres.write(lambda tx, n=n: put(tx, str(n))) for n in range(5)))
    everyone = (
        "SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity"
        " WHERE datname IS NOT NULL AND pid <> pg_backend_pid()"
    )
    await postgres_server().execute(everyone)
    await asyncio.gather(*(postgres.write(lambda tx, n=n: put(tx, f"b{n}")) for n in range(5)))
    assert len(await postgres.read(keys)) == 10


async def test_a_server_that_starts_anew_is_waited_for(postgres: PostgresDatabase) -> None:
    await postgres.write(lambda tx: put(tx, "before"))
    restart = asyncio.create_task(asyncio.to_thread(postgres_server().restart))
    written: list[str] = []
    for key in map(str, itertools.count()):  # anew each time: what is unknown may have happened
        if restart.done():
            break
        try:
            await postgres.write(lambda tx, key=key: put(tx, key))
        except Unavailable:  # the server went in the midst of it: the caller is told
            continue
        written.append(key)
    await restart
    await postgres.write(lambda tx: put(tx, "after"))
    found = await postgres.read(keys)
    assert {"before", "after", *written} <= set(found)


async def test_two_that_lock_each_other_out_both_come_through(postgres: PostgresDatabase) -> None:
    await postgres.write(lambda tx: (put(tx, "a"), put(tx, "b")))
    both = asyncio.Barrier(2)
    runs: list[str] = []

    def cross(tx: Transaction, first: str, second: str) -> None:
        runs.append(first)
        if len(runs) > 2:  # the other one may still be at it: after it, then
            change(tx, second, first)
            change(tx, first, first)
            return
        change(tx, first, first)
        await_(both.wait())
        change(tx, second, first)

    await asyncio.gather(
        postgres.write(lambda tx: cross(tx, "a", "b")),
        postgres.write(lambda tx: cross(tx, "b", "a")),
    )
    assert len(runs) == 3
    values = await postgres.read(lambda tx: set(tx.execute(sa.select(meta.c.value)).scalars()))
    assert len(values) == 1


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_collision_is_tried_once_more_and_no_oftener(
    postgres: PostgresDatabase, state: str
) -> None:
    runs: list[int] = []
    told: list[int] = []

    def unit(tx: Transaction, collisions: int) -> None:
        runs.append(len(runs))
        put(tx, f"{runs}")
        tx.after_commit(lambda: told.append(runs[-1]))
        if len(runs) <= collisions:
            refuse(tx, state)

    await postgres.write(lambda tx: unit(tx, 1))
    assert (runs, told) == ([0, 1], [1])
    assert await postgres.read(keys) == ["[0, 1]"]
    runs.clear()
    with pytest.raises(DBAPIError):
        await postgres.write(lambda tx: unit(tx, 2))
    assert (runs, told) == ([0, 1], [1])


async def test_a_full_disk_is_a_refusal_with_a_meaning(postgres: PostgresDatabase) -> None:
    with pytest.raises(StorageFull):
        await postgres.write(lambda tx: refuse(tx, "53100"))


async def test_what_takes_too_long_is_given_up_whole(postgres_url: str) -> None:
    database = PostgresDatabase(postgres_url, PostgresOptions(statement_seconds=0.1))

    def unit(tx: Transaction) -> None:
        put(tx, "half")
        number(tx, "SELECT 1 FROM pg_sleep(60)")

    with pytest.raises(Unavailable):
        await database.write(unit)
    assert await database.read(keys) == []
    await database.close()


async def test_a_lock_is_not_waited_for_without_end(postgres_url: str) -> None:
    database = PostgresDatabase(postgres_url, PostgresOptions(lock_seconds=0.2))
    await database.write(lambda tx: put(tx, "a"))
    other: Any = await asyncpg.connect(postgres_url)
    async with other.transaction():
        await other.execute("UPDATE meta SET value = 'theirs'")
        with pytest.raises(Unavailable):
            await database.write(lambda tx: change(tx, "a", "ours"))
    await other.close()
    await database.write(lambda tx: change(tx, "a", "ours"))
    await database.close()


async def test_who_finds_every_connection_in_use_is_told_to_come_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usina.kernel.db.postgres._AWAY_SECONDS", 0.2)
    database = PostgresDatabase(postgres_url, PostgresOptions(connections=1))
    long = asyncio.create_task(database.write(lambda tx: number(tx, "SELECT 1 FROM pg_sleep(1)")))
    while not await _sleeps(postgres_url):
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable):
        await database.read(keys)
    await long
    assert await database.read(keys) == []
    await database.close()


async def _sleeps(url: str) -> bool:
    other: Any = await asyncpg.connect(url)
    found = await other.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        " AND datname = current_database()"
    )
    await other.close()
    return bool(found)


async def test_a_server_that_is_not_there_is_said_so_and_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("usina.kernel.db.postgres._AWAY_SECONDS", 0.2)
    database = PostgresDatabase(f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(Unavailable):
        await database.read(keys)
    await database.close()


async def test_a_process_that_stops_in_a_unit_holds_up_nobody_for_long(postgres_url: str) -> None:
    stopped = PostgresDatabase(postgres_url, PostgresOptions(lock_seconds=0.2))
    database = PostgresDatabase(postgres_url)
    await database.write(lambda tx: put(tx, "a"))

    def unit(tx: Transaction) -> None:
        change(tx, "a", "stopped")
        time.sleep(0.5)  # as a suspended process does
        change(tx, "a", "woken")

    with pytest.raises(Unavailable):
        await stopped.write(unit)
    await database.write(lambda tx: change(tx, "a", "went on"))
    await stopped.write(lambda tx: put(tx, "as if nothing had been"))
    await stopped.close()
    await database.close()


@pytest.mark.parametrize(("pooler", "kept"), [(True, False), (False, True)])
async def test_behind_a_pooler_nothing_stays_in_a_session(
    postgres_url: str, pooler: bool, kept: bool
) -> None:
    database = PostgresDatabase(postgres_url, PostgresOptions(connections=1, pooler=pooler))
    for n in range(3):
        await database.write(lambda tx, n=n: put(tx, str(n)))
        await database.read(keys)
    statements = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%meta%'"
    assert bool(await database.read(lambda tx: number(tx, statements))) == kept
    limit = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"
    assert await database.read(lambda tx: number(tx, limit)) == 30_000
    settings = "SELECT reset_val::int FROM pg_settings WHERE name = 'statement_timeout'"
    assert await database.read(lambda tx: number(tx, settings)) == 0
    await database.close()
