"""A pool that survives: whatever its connections meet, callers are answered and it is whole."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from tests.kernel.test_postgres import keys, number, put
from tests.postgres import postgres_server
from usina.kernel.db.batch import Batch
from usina.kernel.db.postgres import PostgresDatabase, PostgresOptions
from usina.kernel.db.unit_of_work import OutcomeUnknown, Transaction
from usina.kernel.errors import Unavailable
from usina.kernel.ids import new_id

MOST = 4
PEOPLE = 200


def slow(tx: Transaction, key: str) -> str:
    """A unit with something before and something after a wait."""
    put(tx, f"a{key}")
    number(tx, "SELECT 1 FROM pg_sleep(0.005)")
    put(tx, f"b{key}")
    return key


async def sessions(url: str) -> list[str]:
    """What the database's other sessions are at."""
    observer: Any = await asyncpg.connect(url)
    found = await observer.fetch(
        "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    await observer.close()
    return [row["state"] for row in found]


async def settled(url: str) -> list[str]:
    """The sessions once none is at anything."""
    async with asyncio.timeout(20):
        while set(found := await sessions(url)) - {"idle"}:
            await asyncio.sleep(0.01)
    return found


async def whole(database: PostgresDatabase, url: str) -> None:
    """Every connection of the pool can be used at once, and there are no others."""
    await asyncio.gather(*(database.write(lambda tx, n=n: slow(tx, f"w{n}")) for n in range(MOST)))
    found = await settled(url)
    assert 0 < len(found) <= MOST
    written = await database.read(keys)
    assert [key[1:] for key in written if key[0] == "a"] == [
        key[1:] for key in written if key[0] == "b"
    ]
    await database.close()
    assert await settled(url) == []


async def test_hundreds_who_go_away_in_the_midst_leave_the_pool_whole(postgres_url: str) -> None:
    database = PostgresDatabase(postgres_url, PostgresOptions(connections=MOST))
    asked = [
        asyncio.create_task(database.write(lambda tx, n=n: slow(tx, f"{n}"))) for n in range(PEOPLE)
    ]
    await asked[MOST]  # some have been served, some are at it, most wait
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)
    assert sum(task.cancelled() for task in asked) > PEOPLE / 2
    await whole(database, postgres_url)


async def end_all_sessions(url: str) -> None:
    name = url.rpartition("/")[0] and url.split("/")[3].partition("?")[0]
    await postgres_server().execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )


async def restart(_url: str) -> None:
    await asyncio.to_thread(postgres_server().restart)


@pytest.mark.parametrize("blow", [end_all_sessions, restart])
async def test_sessions_that_end_in_the_midst_cost_a_503_and_no_connection(
    postgres_url: str, blow: Callable[[str], Awaitable[None]]
) -> None:
    database = PostgresDatabase(postgres_url, PostgresOptions(connections=MOST))
    asked = [
        asyncio.create_task(database.write(lambda tx, n=n: slow(tx, f"{n}"))) for n in range(PEOPLE)
    ]
    await asked[MOST]
    await blow(postgres_url)
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert {type(answer) for answer in refused} <= {Unavailable, OutcomeUnknown}
    assert len(refused) <= MOST
    written = await database.read(keys)
    assert {f"a{answer}" for answer in answers if isinstance(answer, str)} <= set(written)
    await whole(database, postgres_url)


async def test_a_commit_whose_answer_is_lost_is_called_unknown_and_not_made_twice(
    postgres_url: str,
) -> None:
    database = PostgresDatabase(postgres_url, PostgresOptions(connections=MOST))
    runs: list[list[str]] = []

    def unit(tx: Transaction, names: Any) -> list[str]:
        runs.append(list(names))
        for name in names:
            put(tx, name)
        wait = "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON meta DEFERRABLE INITIALLY DEFERRED"
        tx.execute(sa.text("RESET ROLE"))
        tx.execute(
            sa.text(
                "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"
            )
        )
        tx.execute(sa.text(f"{wait} FOR EACH ROW EXECUTE FUNCTION die()"))
        put(tx, "and dies while it commits")
        return list(names)

    batch = Batch[str, str](database.write, unit)
    found = await asyncio.gather(*(batch.add(name) for name in "abc"), return_exceptions=True)
    assert [type(each) for each in found] == [OutcomeUnknown] * 3
    assert len(runs) == 1
    await whole(database, postgres_url)


async def test_a_server_without_a_free_connection_is_waited_for_and_then_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = postgres_server()
    role, name = f"r{new_id().replace('-', '')}", await server.fresh()
    await server.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 2")
    await server.execute(f"GRANT usina_request, usina_engine TO {role}")
    url = server.url(name, role)
    database = PostgresDatabase(url, PostgresOptions(connections=MOST))
    many = [database.write(lambda tx, n=n: slow(tx, f"{n}")) for n in range(40)]
    assert await asyncio.gather(*many) == [f"{n}" for n in range(40)]
    await database.close()
    others: list[Any] = [await asyncpg.connect(url) for _ in range(2)]
    database = PostgresDatabase(url, PostgresOptions(connections=MOST))
    with monkeypatch.context() as patience:
        patience.setattr("usina.kernel.db.postgres._AWAY_SECONDS", 0.3)
        with pytest.raises(Unavailable, match="ask again"):
            await database.read(keys)
    waits = asyncio.create_task(database.write(lambda tx: slow(tx, "late")))
    await asyncio.sleep(0.1)
    assert not waits.done()
    for other in others:
        await other.close()
    assert await waits == "late"
    await database.close()
    await server.drop(name)
    await server.execute(f"DROP ROLE {role}")
