"""An organization's feed on PostgreSQL, where a later commit may have begun earlier."""

import asyncio
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.util.concurrency import await_

from tests.jobs.make import organization, silent
from tests.postgres import waits_or_ends
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Unavailable
from usina.kernel.events.bus import Bus
from usina.kernel.events.event import Event
from usina.kernel.events.log import NewEvent, append, read_after
from usina.kernel.events.stream import EventStream


def tell(tx: Transaction, owner: str, kind: str) -> None:
    append(tx, [NewEvent(owner, None, None, kind, {})], silent)
    tx.flush()


class Reader:
    """Reads the feed on from where it was."""

    def __init__(self, database: PostgresDatabase, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._after = 0
        self.seen: list[str] = []

    async def read(self) -> list[str]:
        found = await self._database.read(
            lambda tx: read_after(tx, self._owner, None, self._after, 100)
        )
        for event in found:
            self._after = event.position
            self.seen.append(event.type)
        return self.seen


async def test_who_begins_earlier_and_commits_later_is_not_passed_over(
    postgres: PostgresDatabase,
) -> None:
    owner = await organization(postgres)
    reader = Reader(postgres, owner)
    second: list[asyncio.Task[None]] = []

    def slow(tx: Transaction) -> None:
        tell(tx, owner, "first")
        second.append(asyncio.create_task(postgres.write(lambda tx: tell(tx, owner, "second"))))
        await_(waits_or_ends(postgres, second[0]))
        await_(reader.read())

    await postgres.write(slow)
    await second[0]
    assert await reader.read() == ["first", "second"]


async def test_who_waited_for_its_turn_tells_when_it_had_it(postgres: PostgresDatabase) -> None:
    owner = await organization(postgres)

    def begins_first(tx: Transaction) -> None:
        assert tx.now, "it has begun"
        await_(postgres.write(lambda tx: tell(tx, owner, "first")))
        tell(tx, owner, "second")

    await postgres.write(begins_first)
    told = await postgres.read(lambda tx: read_after(tx, owner, None, None, 10))
    assert [event.type for event in told] == ["first", "second"]
    assert told[0].at < told[1].at


async def test_one_that_dies_after_its_turn_holds_up_nobody(postgres: PostgresDatabase) -> None:
    owner = await organization(postgres)
    reader = Reader(postgres, owner)
    second: list[asyncio.Task[None]] = []

    def dies(tx: Transaction) -> None:
        tell(tx, owner, "never")
        second.append(asyncio.create_task(postgres.write(lambda tx: tell(tx, owner, "second"))))
        await_(waits_or_ends(postgres, second[0]))
        tx.execute(sa.text("RESET ROLE"))  # the engine may not put anybody out
        tx.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(Unavailable):
        await postgres.write(dies)
    await second[0]
    assert await reader.read() == ["second"]


async def test_organizations_do_not_wait_for_each_other(postgres: PostgresDatabase) -> None:
    slow, quick = await organization(postgres), await organization(postgres)
    reader = Reader(postgres, quick)

    def unit(tx: Transaction) -> list[str]:
        tell(tx, slow, "slow")
        await_(postgres.write(lambda tx: tell(tx, quick, "quick")))
        return list(await_(reader.read()))

    assert await postgres.write(unit) == ["quick"]


async def test_a_forgotten_transaction_does_not_stop_the_feed(
    postgres_url: str, postgres: PostgresDatabase
) -> None:
    """Somebody left a session open, with a transaction that has written."""
    owner = await organization(postgres)
    idle: Any = await asyncpg.connect(postgres_url)
    await idle.execute("BEGIN; INSERT INTO meta VALUES ('idle', '')")
    await postgres.write(lambda tx: tell(tx, owner, "told"))
    assert await Reader(postgres, owner).read() == ["told"]
    await idle.close()


async def test_a_feed_that_begins_now_tells_of_a_commit_that_was_under_way(
    postgres: PostgresDatabase,
) -> None:
    owner, other = await organization(postgres), await organization(postgres)
    bus = Bus()
    events = EventStream(postgres, bus).follow(owner, None, None)
    first: list[asyncio.Task[object]] = []

    async def begin_to_follow() -> None:
        await postgres.write(lambda tx: tell(tx, other, "of another, later"))
        first.append(asyncio.create_task(anext(events)))
        while not bus.has_listeners(owner):
            await asyncio.sleep(0.001)

    def slow(tx: Transaction) -> None:
        append(tx, [NewEvent(owner, None, None, "late", {})], bus.announce)
        await_(begin_to_follow())

    await postgres.write(slow)
    event = await asyncio.wait_for(first[0], 10)
    await events.aclose()
    assert isinstance(event, Event)
    assert event.type == "late"


async def test_nobody_misses_anything_among_many_writers(postgres: PostgresDatabase) -> None:
    owner, other = await organization(postgres), await organization(postgres)
    reader = Reader(postgres, owner)

    async def write(number: int) -> None:
        for part in range(15):

            def unit(tx: Transaction, kind: str = f"{number}.{part}") -> None:
                owners = [owner, other] if number % 2 else [other, owner]
                append(tx, [NewEvent(o, None, None, kind, {}) for o in owners], silent)

            await postgres.write(unit)

    writing = asyncio.gather(*(write(number) for number in range(8)))
    while not writing.done():
        await reader.read()
    await writing
    assert sorted(await reader.read()) == sorted(f"{n}.{p}" for n in range(8) for p in range(15))
