"""The opening of a transaction goes with its first question: what is wrong with either is told
apart, and nothing of it stays behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.util.concurrency import await_

from tests.postgres import postgres_server
from usina.kernel.db.meta import meta
from usina.kernel.db.postgres import PostgresDatabase, PostgresOptions
from usina.kernel.db.postgres_driver import PostgresDriver
from usina.kernel.db.prepared import Prepared
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.db.wall import RolesMissing
from usina.kernel.errors import NotFound
from usina.kernel.ids import new_id

PUT = Prepared(sa.insert(meta), ("key", "value"))
KEYS = Prepared(sa.select(meta.c.key).order_by(meta.c.key))
SELF = "SELECT pg_backend_pid(), current_user::text, pg_current_xact_id_if_assigned() IS NULL"


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    """Of one connection."""
    opened = PostgresDatabase(postgres_url, PostgresOptions(connections=1))
    yield opened
    await opened.close()


def ask(tx: Transaction, sql: str, *values: Any) -> Any:
    [found] = tx.driver.execute(sql, values).fetchall()
    return found


def put(tx: Transaction, key: str) -> None:
    PUT.run(tx, {"key": key, "value": ""})


def keys(tx: Transaction) -> list[str]:
    return [row.key for row in KEYS.all(tx)]


def itself(tx: Transaction) -> tuple[int, str, bool]:
    pid, role, clean = ask(tx, SELF)
    return pid, role, clean


async def test_a_connection_that_was_lost_before_is_made_anew(database: PostgresDatabase) -> None:
    runs: list[int] = []

    def unit(tx: Transaction) -> int:
        runs.append(len(runs))
        put(tx, f"{runs}")
        return itself(tx)[0]

    before, _, _ = await database.read(itself)
    await postgres_server().execute(f"SELECT pg_terminate_backend({before}, 60000)")
    assert await database.write(unit) != before
    put_there = [key for key in await database.read(keys) if key.startswith("[")]
    assert put_there == [f"{runs}"], "what ran on the lost connection left nothing"


async def test_a_first_question_that_is_refused_costs_no_connection(
    database: PostgresDatabase,
) -> None:
    before = await database.write(itself)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await database.write(lambda tx: ask(tx, "SELECT 1 / 0"))
    assert await database.write(itself) == before == (before[0], "usina_engine", True)


async def test_one_that_never_went_leaves_no_open_transaction_to_the_next(
    database: PostgresDatabase,
) -> None:
    """asyncpg sees by itself that a value does not fit, when the opening is on its way."""
    before, _, _ = await database.write(itself)
    tenant = new_id()
    with pytest.raises(asyncpg.DataError):
        await database.write(lambda tx: ask(tx, "SELECT $1::int", "x"), tenant=tenant)
    after, role, clean = await database.write(itself)
    assert after != before
    assert (role, clean) == ("usina_engine", True)


async def test_what_a_role_may_not_do_is_not_taken_for_a_role_that_is_missing(
    database: PostgresDatabase,
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.read(lambda tx: ask(tx, "SELECT count(*) FROM users"), tenant=new_id())


async def test_a_role_that_is_missing_is_said_so(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usina.kernel.db.postgres.ENGINE", "usina_nobody")
    with pytest.raises(RolesMissing):
        await database.read(keys)


async def test_a_unit_that_asks_nothing_says_nothing(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    told: list[str] = []

    def say(_: PostgresDriver, command: str) -> None:
        said.append(command)

    monkeypatch.setattr(PostgresDriver, "say", say)
    await database.write(lambda tx: tx.after_commit(lambda: told.append("done")))

    def refuses(_: Transaction) -> None:
        raise NotFound

    with pytest.raises(NotFound):
        await database.write(refuses)
    assert (said, told) == ([], ["done"])


async def test_a_read_is_answered_before_its_end_and_waited_for_by_the_close(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()
    say = PostgresDriver.say

    def slowly(driver: PostgresDriver, command: str) -> None:
        await_(goes_on.wait())
        say(driver, command)

    monkeypatch.setattr(PostgresDriver, "say", slowly)
    assert "late" not in await database.read(keys)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    assert not closing.done()
    goes_on.set()
    await closing
