"""PgBouncer between: in transaction mode each transaction may have another session."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.databases import prepare
from tests.jobs import test_claim, test_interleaving, test_parallel
from tests.kernel import test_database, test_feed, test_month, test_postgres, test_wall
from tests.kernel.test_postgres import keys, number, put
from tests.pgbouncer import Pooler, pooled
from tests.postgres import postgres_server
from usina.kernel.db.postgres import PostgresDatabase, PostgresOptions
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Unavailable

Behaviour = Callable[[PostgresDatabase], Awaitable[None]]
MODULES = (
    *(test_database, test_feed, test_month, test_postgres, test_wall),
    *(test_claim, test_interleaving, test_parallel),
)


def behaviours() -> Iterator[Any]:
    """Every test that takes a database and nothing else."""
    for module in MODULES:
        for name, test in vars(module).items():
            if name.startswith("test_") and inspect.isfunction(test):
                [*taken] = inspect.signature(test).parameters
                if taken in (["database"], ["postgres"]):
                    yield pytest.param(test, id=f"{module.__name__.rpartition('.')[2]}:{name}")


@pytest.fixture(scope="module")
def pooler() -> Iterator[Pooler]:
    with pooled(postgres_server()) as running:
        yield running


@pytest.fixture
async def name() -> AsyncIterator[str]:
    """Of a fresh, migrated database."""
    server = postgres_server()
    name = await server.fresh()
    yield name
    await server.drop(name)


@pytest.fixture
async def database(pooler: Pooler, name: str) -> AsyncIterator[PostgresDatabase]:
    opened = PostgresDatabase(pooler.url(name), PostgresOptions(pooler=True))
    yield opened
    await opened.close()


@pytest.mark.parametrize("behaviour", [*behaviours()])
async def test_what_holds_without_a_pooler_holds_with_one(
    database: PostgresDatabase, behaviour: Behaviour
) -> None:
    if "database" in inspect.signature(behaviour).parameters:
        await prepare(database)
    await behaviour(database)
    assert await database.read(lambda tx: tx.now), "and units go on through the pooler"


def test_there_is_enough_to_try() -> None:
    assert len(list(behaviours())) > 30


async def test_a_platform_at_work_notices_nothing(pooler: Pooler, name: str) -> None:
    told = await test_wall.story(pooler.url(name), PostgresOptions(pooler=True))
    assert told == test_wall.STORY


async def test_nothing_goes_from_one_client_to_the_next(name: str) -> None:
    """They share one session of the server."""
    with pooled(postgres_server(), connections=1) as pooler:
        url = pooler.url(name)
        ours = PostgresDatabase(url, PostgresOptions(pooler=True, statement_seconds=7))
        theirs = PostgresDatabase(url, PostgresOptions(pooler=True))
        stranger: Any = await asyncpg.connect(url, statement_cache_size=0)
        sessions = {await ours.read(pid), await theirs.read(pid)}
        owner = (await test_wall.fill(ours))["organization_id"]
        for _ in range(3):
            await ours.write(lambda tx: put(tx, f"{number(tx, 'SELECT count(*) FROM meta')}"))
            assert await ours.read(timeout, tenant=owner) == "7s"
            assert await theirs.read(timeout) == "30s"
        [left] = await stranger.fetch(
            "SELECT pg_backend_pid() AS pid, current_user AS role,"
            " current_setting('usina.organization_id') AS tenant,"
            " current_setting('statement_timeout') AS timeout,"
            " (SELECT count(*) FROM pg_prepared_statements WHERE name <> '') AS prepared,"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            " AND pid = pg_backend_pid()) AS locks"
        )
        assert sessions == {left["pid"]}
        assert dict(left) == {"pid": left["pid"], "role": "postgres", "tenant": ""} | {
            "timeout": "0",
            "prepared": 0,
            "locks": 0,
        }
        await stranger.close()
        await ours.close()
        await theirs.close()


def pid(tx: Transaction) -> int:
    return number(tx, "SELECT pg_backend_pid()")


def timeout(tx: Transaction) -> str:
    return tx.execute(sa.text("SHOW statement_timeout")).scalar_one()


async def test_without_the_option_a_pooler_is_noticed(pooler: Pooler, name: str) -> None:
    """So that this file can fail: statements that are kept meet sessions that do not know them."""
    database = PostgresDatabase(pooler.url(name), PostgresOptions(connections=9))

    async def work(worker: int) -> None:
        for n in range(9):
            await database.write(lambda tx, n=n: put(tx, f"{worker}.{n}"))
            await database.read(keys)

    with pytest.raises(Exception, match="prepared statement"):
        await asyncio.gather(*(work(worker) for worker in range(9)))
    await database.close()


async def test_many_clients_share_few_sessions(pooler: Pooler, name: str) -> None:
    options = PostgresOptions(connections=8, pooler=True)
    databases = [PostgresDatabase(pooler.url(name), options) for _ in range(4)]
    many = enumerate(databases * 25)
    await asyncio.gather(*(each.write(lambda tx, n=n: put(tx, f"{n}")) for n, each in many))
    assert len(await databases[0].read(keys)) == 100
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert await databases[0].read(lambda tx: number(tx, sessions)) <= 3
    for database in databases:
        await database.close()


async def test_a_server_that_starts_anew_behind_it_is_waited_for(
    database: PostgresDatabase,
) -> None:
    await database.write(lambda tx: put(tx, "before"))
    await asyncio.to_thread(postgres_server().restart)
    await until_written(database, "after")
    assert await database.read(keys) == ["after", "before"]


async def test_a_pooler_that_is_killed_and_comes_back_is_waited_for(name: str) -> None:
    with pooled(postgres_server()) as pooler:
        database = PostgresDatabase(pooler.url(name), PostgresOptions(pooler=True))
        await asyncio.gather(*(database.write(lambda tx, n=n: put(tx, f"{n}")) for n in range(9)))
        pooler.kill()
        waits = asyncio.create_task(database.write(lambda tx: put(tx, "waited")))
        await asyncio.sleep(0.1)
        assert not waits.done()
        await asyncio.to_thread(pooler.start)
        await waits
        assert len(await database.read(keys)) == 10
        await database.close()


async def test_limits_hold_through_it(pooler: Pooler, name: str) -> None:
    options = PostgresOptions(pooler=True, statement_seconds=0.1)
    database = PostgresDatabase(pooler.url(name), options)
    with pytest.raises(Unavailable):
        await database.write(lambda tx: number(tx, "SELECT 1 FROM pg_sleep(60)"))
    assert await database.read(keys) == []
    await database.close()


async def until_written(database: PostgresDatabase, key: str) -> None:
    """A pooler tells the loss of its server to whoever comes first."""
    async with asyncio.timeout(20):
        while True:
            try:
                await database.write(lambda tx: put(tx, key))
            except (DBAPIError, Unavailable):
                continue
            return
