"""Many who follow one log: read once for all, in order, nothing missed by whoever stumbles."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from tests.jobs.make import organization
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Unavailable
from usina.kernel.events import tail
from usina.kernel.events.bus import Bus
from usina.kernel.events.event import Event, Hint
from usina.kernel.events.log import NewEvent, append
from usina.kernel.events.stream import EventStream
from usina.kernel.ids import new_id
from usina.kernel.telemetry import FOLLOWERS_BEHIND, LOG_READS


class Log:
    """One organization's log, a bus that may be deaf, and how often it was read."""

    def __init__(self, database: Database, owner: str) -> None:
        self.database = database
        self.owner = owner
        self.bus = Bus()
        self.stream = EventStream(database, self.bus)
        self.written: list[str] = []

    async def write(self, *kinds: str, job_id: str | None = None) -> None:
        def unit(tx: Transaction) -> None:
            new = [NewEvent(self.owner, job_id, None, kind, {}) for kind in kinds]
            append(tx, new, self.bus.announce)

        await self.database.write(unit)
        self.written += kinds

    def follow(
        self, job_id: str | None = None, after: int | None = 0
    ) -> AsyncGenerator[Event | Hint | None]:
        return self.stream.follow(self.owner, job_id, after)

    async def seen(self, number: int, after: int | None = 0) -> list[Event]:
        """The first so many events."""
        found: list[Event] = []
        async with aclosing(self.follow(None, after)) as items:
            async for item in items:
                found += [item] if isinstance(item, Event) else []
                if len(found) == number:
                    break
        return found

    async def at_the_tail(self, followers: int) -> None:
        """Once so many follow and each of them has caught up."""
        found = next(iter(self.stream._tails.values()))
        while sum(each._waiter is not None for each in found._of_all) < followers:
            await asyncio.sleep(0.001)


@pytest.fixture
async def log(database: Database) -> Log:
    return Log(database, await organization(database))


def read() -> float:
    return LOG_READS._value.get()


def behind() -> float:
    return FOLLOWERS_BEHIND._value.get()


async def test_an_event_is_read_once_for_all_and_is_the_same_for_all(log: Log) -> None:
    following = [asyncio.create_task(log.seen(10)) for _ in range(100)]
    while not log.stream._tails:
        await asyncio.sleep(0.001)
    await log.at_the_tail(100)
    before = read()
    for number in range(10):
        await log.write(f"event.{number}")
    async with asyncio.timeout(10):
        told = await asyncio.gather(*following)
    assert read() - before <= 11
    assert [event.type for event in told[0]] == log.written
    for events in told[1:]:
        assert all(one is other for one, other in zip(events, told[0], strict=True))
    assert not log.bus.has_listeners(log.owner)
    assert not log.stream._tails


async def test_who_stumbles_holds_little_and_misses_nothing(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_MOST_ITEMS", 8)
    before = behind()
    await log.write("first")
    async with aclosing(log.follow()) as slow:
        seen = [await anext(slow)]
        following = asyncio.create_task(log.seen(101))
        await asyncio.sleep(0)
        reading = asyncio.ensure_future(anext(slow))
        await log.write("second")
        seen.append(await reading)
        for number in range(99):
            await log.write(f"event.{number}")
        async with asyncio.timeout(10):
            assert len(await following) == 101
            [found] = log.stream._tails.values()
            [follower] = found._of_all
            while not follower.behind:
                await asyncio.sleep(0.001)
            assert not follower.items
            while len(seen) < 101:
                seen.append(await anext(slow))
    assert [item.type for item in seen if isinstance(item, Event)] == log.written
    assert behind() > before


async def test_a_database_that_is_away_for_a_while_costs_time_alone(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_LOOK_SECONDS", 0.02)
    following = asyncio.create_task(log.seen(2))
    while not log.stream._tails:
        await asyncio.sleep(0.001)
    await log.at_the_tail(1)
    away, asked, fine = True, asyncio.Event(), log.database.read

    async def reading(unit: Any, **more: Any) -> Any:
        if away:
            asked.set()
            raise Unavailable("away")
        return await fine(unit, **more)

    monkeypatch.setattr(log.database, "read", reading)
    await log.write("one")
    async with asyncio.timeout(10):
        await asked.wait()
        away = False
        await log.write("two")
        assert [event.type for event in await following] == ["one", "two"]


async def test_what_breaks_the_reading_reaches_who_follows(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = asyncio.create_task(log.seen(1000))
    while not log.stream._tails:
        await asyncio.sleep(0.001)
    await log.at_the_tail(1)

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(log.database, "read", broken)
    for _ in range(2):  # the first may be in a read that is under way
        await log.write("one")
        await asyncio.sleep(0.05)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(following, 10)
    monkeypatch.undo()
    assert len(await log.seen(1)) == 1


async def test_silence_is_told_while_others_are_busy(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "_LOOK_SECONDS", 0.02)
    quiet, busy = new_id(), new_id()

    async def work() -> None:
        while True:
            await log.write("job.progress", job_id=busy)
            await asyncio.sleep(0.005)

    working = asyncio.create_task(work())
    async with aclosing(log.follow(quiet, None)) as items, asyncio.timeout(10):
        assert await anext(items) is None
    working.cancel()


async def test_of_hints_the_newest_is_kept_and_only_the_jobs_own(log: Log) -> None:
    mine, other = new_id(), new_id()
    async with aclosing(log.follow(mine, None)) as items, asyncio.timeout(10):
        reading = asyncio.ensure_future(anext(items))
        while not log.bus._hints:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        log.bus.hint(Hint(other, "job.progress", {"progress": 0.9}))
        for step in range(1, 50):
            log.bus.hint(Hint(mine, "job.progress", {"progress": step / 100}))
        first = await reading
        assert isinstance(first, Hint)
        assert first.data == {"progress": 0.49}
        await log.write("job.running", job_id=mine)
        assert getattr(await anext(items), "type", None) == "job.running"
        log.bus.hint(Hint(mine, "job.progress", {"progress": 0.6}))
        assert isinstance(await anext(items), Hint)
    assert not log.bus._hints


async def test_a_platform_that_leaves_tells_what_there_is(log: Log) -> None:
    async def all_of_it() -> list[Event | Hint | None]:
        async with aclosing(log.follow()) as items:
            return [item async for item in items]

    following = asyncio.create_task(all_of_it())
    while not log.stream._tails:
        await asyncio.sleep(0.001)
    await log.at_the_tail(1)
    await log.write("last")
    log.bus.close()
    told = await asyncio.wait_for(following, 10)
    assert [item.type for item in told if item] == ["last"]


@pytest.mark.parametrize("seed", range(3))
async def test_however_they_come_and_go_and_stall_all_see_the_same(
    log: Log, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(tail, "_MOST_ITEMS", 5)
    dice, total = random.Random(seed), 150

    async def restless() -> list[str]:
        seen: list[str] = []
        after = 0
        while len(seen) < total:
            async with aclosing(log.follow(None, after)) as items:
                for _ in range(dice.randint(1, 40)):
                    item = await anext(items)
                    assert isinstance(item, Event)
                    after = item.position
                    seen.append(item.type)
                    if dice.random() < 0.1:
                        await asyncio.sleep(dice.random() * 0.02)
                    if len(seen) == total:
                        break
        return seen

    async def write() -> None:
        while len(log.written) < total:
            many = min(dice.randint(1, 4), total - len(log.written))
            await log.write(*(f"event.{len(log.written) + each}" for each in range(many)))

    async with asyncio.timeout(30):
        *told, _ = await asyncio.gather(*(restless() for _ in range(12)), write())
    assert log.written == [f"event.{number}" for number in range(total)]
    assert all(each == log.written for each in told)
