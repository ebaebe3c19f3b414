"""The log's readers: nothing twice, nothing missed, whoever writes meanwhile."""

import asyncio

import pytest

from tests.jobs.make import NEW_JOB, organization, take
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Gone
from usina.kernel.events import cursor
from usina.kernel.events.bus import Bus
from usina.kernel.events.event import Event, Hint
from usina.kernel.events.stream import EventStream
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.insert import insert_jobs


async def test_a_reader_that_comes_back_misses_nothing_while_others_write(
    database: Database,
) -> None:
    from dataclasses import replace

    bus = Bus()
    stream = EventStream(database, bus)
    owner = await organization(database)
    new = replace(NEW_JOB, organization_id=owner)
    seen: list[int] = []

    async def write() -> None:
        for _ in range(12):
            await database.write(lambda tx: insert_jobs(tx, [new] * 3, bus.announce))

    async def read() -> None:
        after = 0
        while len(seen) < 180:
            got = 0
            async for event in stream.follow(owner, None, after):
                assert isinstance(event, Event)
                seen.append(after := event.position)
                got += 1
                if got == 7 or len(seen) == 180:
                    break  # the connection drops

    async with asyncio.timeout(20):
        await asyncio.gather(read(), *(write() for _ in range(5)))
    assert seen == sorted(set(seen))
    assert len(seen) == 180


async def test_a_jobs_stream_begins_at_its_first_event_and_ends_with_its_end(
    database: Database,
) -> None:
    from dataclasses import replace

    bus = Bus()
    stream = EventStream(database, bus)
    owner = await organization(database)
    new = replace(NEW_JOB, organization_id=owner)
    [job] = await database.write(lambda tx: insert_jobs(tx, [new], bus.announce))
    types: list[str] = []

    async def read() -> None:
        async for item in stream.follow(owner, job.id, None):
            assert item is not None
            types.append(item.type)
            if isinstance(item, Event) and item.type == "job.queued":
                bus.hint(Hint(job.id, "job.progress", {"progress": 0.5}))

    reading = asyncio.create_task(read())
    async with asyncio.timeout(10):
        while "job.progress" not in types:
            await asyncio.sleep(0.001)
        [claimed] = await take(database)
        ending = Ending(claimed.lease, None)
        await database.write(lambda tx: finish(tx, [ending], 1, bus.announce))
        await reading
    assert types == ["job.queued", "job.progress", "job.running", "job.succeeded"]
    assert not bus.has_listeners(job.id)


async def test_the_organizations_stream_begins_now(database: Database) -> None:
    from dataclasses import replace

    bus = Bus()
    stream = EventStream(database, bus)
    owner, other = await organization(database), await organization(database)
    new = replace(NEW_JOB, organization_id=owner)
    await database.write(lambda tx: insert_jobs(tx, [new], bus.announce))
    reading = asyncio.ensure_future(anext(stream.follow(owner, None, None)))
    while not bus.has_listeners(owner):
        await asyncio.sleep(0.001)
    foreign = replace(NEW_JOB, organization_id=other)
    await database.write(lambda tx: insert_jobs(tx, [foreign], bus.announce))
    [job] = await database.write(lambda tx: insert_jobs(tx, [new], bus.announce))
    event = await asyncio.wait_for(reading, 10)
    assert isinstance(event, Event)
    assert event.job_id == job.id


@pytest.mark.parametrize("text", ["", "x", "0", "YTox", "ÿÿ", "A" * 5000, "MTIzOjEyMw=="])
def test_what_is_no_cursor_of_this_log_is_gone(text: str) -> None:
    with pytest.raises(Gone):
        cursor.decode(text, "abc")


def test_a_cursor_comes_back_as_its_position() -> None:
    assert cursor.decode(cursor.encode("abc", 2**40), "abc") == 2**40
    with pytest.raises(Gone):
        cursor.decode(cursor.encode("abc", 7), "abd")
