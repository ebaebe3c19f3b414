"""Writes that wait for each other: seen by whoever asks, in order, and all or none."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.databases import as_owner
from tests.jobs.make import organization
from usina.kernel.db.batch import Batch
from usina.kernel.db.joined import AFTER, Effect, Effects
from usina.kernel.db.meta import meta
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.db.prepared import Prepared, insert_new
from usina.kernel.db.schema import moment
from usina.kernel.db.turn import take_turns
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.ids import new_id
from usina.kernel.jobs.table import lanes
from usina.kernel.tenancy.table import organizations

PUT = Prepared(sa.insert(meta), ("key", "value"))
OPEN = Prepared(insert_new(lanes), tuple(lanes.c.keys()))
NAME = Prepared(
    sa.update(organizations)
    .where(organizations.c.id == sa.bindparam("the_id"))
    .values(name=sa.bindparam("new_name"))
)
COUNT = Prepared(
    sa.insert(lanes).returning(lanes.c.queue, lanes.c.ready),
    tuple(lanes.c.keys()),
    tells_now=True,
)
KEYS = Prepared(sa.select(meta.c.key).order_by(meta.c.key))


def opened(owner: str, queue: str = "q") -> dict[str, Any]:
    """A lane that nobody waits in."""
    empty = {"served_at": datetime.now(UTC), "has_work": False, "ready": 0, "delayed": 0}
    return {"queue": queue, "organization_id": owner} | empty


def put(tx: Transaction, *keys: str) -> None:
    PUT.run_many(tx, [{"key": key, "value": ""} for key in keys])


def keys(tx: Transaction) -> list[str]:
    return [row.key for row in KEYS.all(tx) if not row.key.startswith("_")]


class Heard:
    """What was sent to a server, instead of to one."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Sequence[Any]]] = []
        self.effects = Effects(self.hear)

    def hear(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        self.said.append((sql, values))
        return ()


def test_those_of_different_tables_go_as_one_with_their_places_shifted() -> None:
    heard = Heard()
    heard.effects.add(Effect(f"UPDATE a SET x = $1 WHERE id = $2 AND {AFTER}", "a", [1, 2]))
    heard.effects.add(Effect(f"SELECT f(n) FROM unnest($1) AS n WHERE {AFTER}", "turns", [[3]]))
    heard.effects.add(Effect(f"INSERT INTO b SELECT $1 WHERE {AFTER}", "b", [4]))
    assert heard.said == []
    heard.effects.flush()
    [(sql, values)] = heard.said
    assert values == [1, 2, [3], 4]
    assert sql == (
        "WITH effect_0 AS MATERIALIZED (UPDATE a SET x = $1 WHERE id = $2 AND"
        f" {AFTER} RETURNING 1), effect_1 AS MATERIALIZED (SELECT f(n) FROM unnest($3) AS n WHERE"
        " (SELECT count(*) FROM effect_0) IS NOT NULL) INSERT INTO b SELECT $4 WHERE"
        " (SELECT count(*) FROM effect_1) IS NOT NULL"
    )
    heard.effects.flush()
    assert len(heard.said) == 1


def test_a_second_write_of_a_table_waits_for_the_first() -> None:
    heard = Heard()
    heard.effects.add(Effect("one", "a", []))
    heard.effects.add(Effect("two", "a", []))
    heard.effects.flush()
    assert [sql for sql, _ in heard.said] == ["one", "two"]


async def test_what_waits_is_there_for_whoever_asks(database: Database) -> None:
    owner = await organization(database)
    before = len(await database.read(keys))

    def unit(tx: Transaction) -> list[int]:
        put(tx, "zz-a", "zz-b")
        NAME.run(tx, {"the_id": owner, "new_name": "new"})
        OPEN.run_many(tx, [opened(owner)] * 2)
        seen = [len(keys(tx)) - before]
        put(tx, "zz-c")
        seen.append(tx.execute(sa.select(sa.func.count()).select_from(meta)).scalar_one() - before)
        put(tx, "zz-d")
        return seen

    assert await database.write(unit) == [2, 3]
    assert len(await database.read(keys)) == before + 4
    names = await database.read(lambda tx: tx.execute(sa.select(organizations.c.name)).scalars())
    assert list(names) == ["new"]
    counted = sa.select(sa.func.count()).select_from(lanes)
    assert await database.read(lambda tx: tx.execute(counted).scalar_one()) == 1


async def test_a_change_of_many_rows_is_made_row_by_row_with_its_own_values(
    database: Database,
) -> None:
    owners = [await organization(database) for _ in range(3)]
    served = Prepared(
        sa.update(lanes)
        .where(lanes.c.organization_id == sa.bindparam("owner"))
        .values(ready=lanes.c.ready + sa.bindparam("more", type_=lanes.c.ready.type))
        .returning(lanes.c.organization_id, lanes.c.ready)
    )

    def unit(tx: Transaction) -> dict[str, int]:
        OPEN.run_many(tx, [opened(owner) for owner in owners])
        NAME.run_many(tx, [{"the_id": o, "new_name": f"n{n}"} for n, o in enumerate(owners)])
        rows = [{"owner": owner, "more": n} for n, owner in enumerate(owners)]
        return {row.organization_id: row.ready for row in served.ask_many(tx, rows)}

    assert await database.write(unit) == {owner: n for n, owner in enumerate(owners)}
    named = sa.select(organizations.c.id, organizations.c.name)
    found = await database.read(lambda tx: {row.id: row.name for row in tx.execute(named)})
    assert found == {owner: f"n{n}" for n, owner in enumerate(owners)}


async def test_a_write_that_answers_comes_after_those_that_wait(database: Database) -> None:
    owner = await organization(database)

    def unit(tx: Transaction) -> tuple[list[tuple[str, int]], datetime]:
        put(tx, "zz-a")
        for queue, count in (("q", 1), ("r", 5)):
            rows = [opened(owner, queue) | {"ready": count}, opened(owner, f"{queue}2")]
            told = [(row.queue, row.ready) for row in COUNT.ask_many(tx, rows)]
        assert sum(key == "zz-a" for key in keys(tx)) == 1
        return told, tx.now

    assert (await database.write(unit))[0] == [("r", 5), ("r2", 0)]
    assert "zz-a" in await database.read(keys)


async def test_an_answer_brings_the_moment_along_and_it_is_the_transactions(
    postgres_url: str,
) -> None:
    database = PostgresDatabase(postgres_url)
    owner = await organization(database)

    def unit(tx: Transaction) -> None:
        assert tx.known_now is None
        at = sa.insert(organizations).values(id=new_id(), name="new", created_at=moment("at"))
        Prepared(at).run(tx, {"at": tx.known_now})
        COUNT.ask_many(tx, [opened(owner)])
        assert tx.known_now == tx.execute(sa.select(sa.func.transaction_timestamp())).scalar_one()
        newest = sa.select(sa.func.max(organizations.c.created_at))
        assert tx.execute(newest).scalar_one() == tx.now

    await database.write(unit)
    await database.close()


async def test_one_that_is_refused_undoes_them_all(postgres: PostgresDatabase) -> None:
    owner = await organization(postgres)

    def unit(tx: Transaction) -> None:
        put(tx, "zz-a")
        NAME.run(tx, {"the_id": owner, "new_name": "new"})
        OPEN.run(tx, opened("00000000-0000-0000-0000-000000000000"))

    with pytest.raises((asyncpg.IntegrityConstraintViolationError, DBAPIError)):
        await postgres.write(unit)
    assert "zz-a" not in await postgres.read(keys)
    names = await postgres.read(lambda tx: tx.execute(sa.select(organizations.c.name)).scalars())
    assert list(names) == [owner]


async def test_what_is_too_long_is_refused_and_not_cut(postgres: PostgresDatabase) -> None:
    owner = await organization(postgres)
    with pytest.raises(asyncpg.StringDataRightTruncationError):
        await postgres.write(lambda tx: OPEN.run(tx, opened(owner, "q" * 65)))


async def test_a_turn_is_had_before_what_comes_after_it_and_after_what_came_before(
    postgres: PostgresDatabase,
) -> None:
    """Two that draw numbers in turn commit in the order of their numbers."""

    def draw(tx: Transaction) -> None:
        as_owner(tx)
        tx.execute(sa.text("CREATE SEQUENCE drawn"))
        tx.execute(sa.text("GRANT USAGE ON SEQUENCE drawn TO PUBLIC"))

    await postgres.write(draw)
    seen: list[int] = []

    def unit(tx: Transaction, name: str) -> None:
        put(tx, name)
        take_turns(tx, ["a turn"])
        assert tx.effects is not None
        told = f"INSERT INTO meta SELECT 'n' || $1::text, nextval('drawn')::text WHERE {AFTER}"
        tx.effects.add(Effect(told, "numbers", [name]))

    async def look() -> None:
        """Whoever looks meanwhile sees every number up to the last one."""
        drawn = sa.text(
            "SELECT count(*), coalesce(max(value::int), 0) FROM meta WHERE key ~ '^nzz'"
        )
        while not seen or seen[-1] < 20:
            found, last = (await postgres.read(lambda tx: tx.execute(drawn).all()))[0]
            assert found == last
            seen.append(found)

    asked = (postgres.write(lambda tx, n=n: unit(tx, f"zz-{n}")) for n in range(20))
    async with asyncio.timeout(30):
        await asyncio.gather(look(), *asked)


async def test_those_who_ask_together_are_read_together_and_see_what_was_there(
    database: Database,
) -> None:
    transactions: list[int] = []

    def look(tx: Transaction, wanted: Sequence[str]) -> list[bool]:
        transactions.append(len(wanted))
        found = keys(tx)
        return [key in found for key in wanted]

    batch = Batch[str, bool](database.read, look)

    async def write_and_look(number: int) -> bool:
        await database.write(lambda tx: put(tx, f"zz-{number}"))
        return await batch.add(f"zz-{number}")

    assert all(await asyncio.gather(*(write_and_look(number) for number in range(30))))
    transactions.clear()
    wanted = [f"zz-{number}" for number in range(40)]
    assert await asyncio.gather(*map(batch.add, wanted)) == [True] * 30 + [False] * 10
    assert transactions == [40]
