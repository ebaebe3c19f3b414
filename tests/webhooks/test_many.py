"""Several senders, receivers that hang, and a sender that dies: each is told, and not by two."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.clock import FakeClock
from tests.jobs.make import organization, queue, take
from tests.webhooks.post_office import PostOffice, deliverer_of, post_office
from tests.webhooks.receiver import Receiver, answers, hangs, receiver
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.guard.connect import Resolver
from usina.kernel.jobs.store import change
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.webhooks import attempt as attempts
from usina.kernel.webhooks.attempt import Room
from usina.kernel.webhooks.deliver import Deliverer
from usina.kernel.webhooks.delivery import Attempt
from usina.kernel.webhooks.handover import hand_over

LEASE = timedelta(seconds=60)


@pytest.fixture
async def office(database: Database, clock: FakeClock) -> AsyncIterator[PostOffice]:
    async with post_office(database, clock) as opened:
        yield opened


@pytest.fixture
async def second(office: PostOffice) -> AsyncIterator[Deliverer]:
    """Another sender, as in another process."""
    resolver = Resolver()
    made = deliverer_of(office.database, office.clock, office.bus, resolver)
    yield made
    await made.stop()
    resolver.close()


async def test_two_senders_share_the_work_and_tell_nothing_twice(
    office: PostOffice, second: Deliverer
) -> None:
    async with receiver() as there:
        await office.endpoint(f"{there.url}/all")
        jobs = [await office.job(callback_url=there.url) for _ in range(20)]
        await asyncio.gather(office.deliverer.turn(), second.turn())
        while len(there.requests) < 40:
            await asyncio.gather(office.deliverer.turn(), second.turn())
            await asyncio.gather(office.deliverer.settle(), second.settle())
        assert len({request.id for request in there.requests}) == 40 == len(there.requests)
        told = [(request.path, request.told["data"]["id"]) for request in there.requests]
        assert sorted(told) == sorted(
            (path, job.id) for path in ("/hook", "/hook/all") for job in jobs
        )


async def test_one_receiver_that_hangs_stops_nobody_else(
    database: Database, clock: FakeClock
) -> None:
    async with (
        post_office(database, clock, concurrency=32) as office,
        receiver(*[hangs()] * 50) as bad,
        receiver() as good,
    ):
        for _ in range(20):
            await office.job(callback_url=bad.url)
        await office.job(callback_url=good.url)
        await office.deliverer.turn()
        await good.wait(1)
        await bad.wait(8)
        assert len(bad.requests) == 8, "no more than eight at once to one place"


async def test_one_organization_does_not_take_all_there_is(
    database: Database, clock: FakeClock
) -> None:
    async with (
        post_office(database, clock, concurrency=4) as office,
        receiver(*[hangs()] * 9) as bad,
        receiver(*[hangs()] * 9) as worse,
        receiver() as good,
    ):
        for url in (bad.url, worse.url) * 4:
            await office.job(callback_url=url)
        other = await organization(database)
        mine, office.organization_id = office.organization_id, other
        await office.job(callback_url=good.url)
        office.organization_id = mine
        await office.deliverer.turn()
        await good.wait(1)
        assert len(bad.requests) + len(worse.requests) <= 2


async def claim(office: PostOffice) -> list[attempts.Claimed]:
    await office.database.write(lambda tx: hand_over(tx, office.deliverer._documents))
    return await office.database.write(lambda tx: attempts.claim(tx, Room(9, 9, 9), LEASE))


async def test_what_a_dead_sender_held_is_due_when_its_claim_is_over(office: PostOffice) -> None:
    async with receiver() as there:
        await office.job(callback_url=there.url)
        [held] = await claim(office)
        await office.turn(59)
        assert there.requests == []
        await office.turn(1)
        assert [request.id for request in there.requests] == [held.id]


async def test_who_comes_late_with_an_old_claim_records_nothing(office: PostOffice) -> None:
    async with receiver() as there:
        await office.job(callback_url=there.url)
        [held] = await claim(office)
        await office.turn(60)
        late = Attempt(held.now, 60.0, 500, "status", "It answered 500.")
        recorded = await office.database.write(
            lambda tx: attempts.record(tx, held, late, None, LEASE, office.bus.announce)
        )
        assert recorded is None
    [delivery] = await office.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("delivered", 1)


async def test_a_start_alone_takes_over_at_once(office: PostOffice, second: Deliverer) -> None:
    async with receiver() as there:
        await office.job(callback_url=there.url)
        [held] = await claim(office)
        await second.start(take_over=True)
        [request] = await there.wait(1)
        assert request.id == held.id


async def test_a_stop_gives_back_what_hangs(office: PostOffice, second: Deliverer) -> None:
    async with receiver(hangs()) as there:
        await office.job(callback_url=there.url)
        await second.start(take_over=False)
        await there.wait(1)
        await second.stop()
        await office.turn()
        first, again = there.requests
    assert first.id == again.id
    [delivery] = await office.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("delivered", 1)


async def test_a_commit_wakes_the_sender(office: PostOffice, second: Deliverer) -> None:
    """Far sooner than it would look by itself."""
    async with receiver() as there:
        await office.endpoint(f"{there.url}/all")
        await second.start(take_over=False)
        await office.job(callback_url=there.url)
        await there.wait(2, seconds=4)
        later = await office.endpoint(f"{there.url}/later")
        await office.webhooks.test(office.organization_id, later.id, lambda *_: None)
        await there.wait(3, seconds=4)
        await office.job()
        await there.wait(5, seconds=4)
    assert len(there.requests) == 5


async def test_a_disabled_endpoint_is_not_sent_what_was_claimed_for_it(office: PostOffice) -> None:
    """A claim that ran out finds the endpoint disabled meanwhile."""
    async with receiver(answers(410)) as there:
        endpoint = await office.endpoint(there.url)
        await office.job()
        [held] = await claim(office)
        await office.job()
        await office.turn()
        await office.turn(120)
        assert len(there.requests) == 1
    found = {d.id: d.status for d in await office.deliveries(endpoint_id=endpoint.id)}
    assert found[held.id] == "failed"


async def test_the_order_of_a_job_holds_among_senders(
    office: PostOffice, second: Deliverer
) -> None:
    types = ("job.queued", "job.running", "job.succeeded")

    def heard(there: Receiver) -> dict[str, list[str]]:
        by_job: dict[str, list[str]] = {}
        for request in there.requests:
            by_job.setdefault(request.told["data"]["id"], []).append(request.told["type"])
        return by_job

    async with receiver(*[answers(204, after=0.01)] * 30) as there:
        await office.endpoint(there.url, *types)
        for _ in range(5):
            await office.job()
        while len(there.requests) < 15:
            await asyncio.gather(office.deliverer.turn(), second.turn())
            await asyncio.gather(office.deliverer.settle(), second.settle())
        assert list(heard(there).values()) == [list(types)] * 5


async def test_an_end_without_a_receiver_asks_nothing_more(
    office: PostOffice, database: Database
) -> None:
    """Whatever endpoints there are, an ending's statements name no table of webhooks."""
    async with receiver() as there:
        await office.endpoint(there.url)
        said: list[str] = []
        plain = await _statements(database, office, said)
        assert not any("webhook" in text or "outbox" in text for text in plain), plain
        told = await _statements(database, office, said, callback_url=there.url)
        assert any("outbox" in text for text in told)


async def _statements(
    database: Database, office: PostOffice, said: list[str], **fields: str
) -> list[str]:
    """What the engine is asked while a job ends."""
    await queue(database, office.organization_id, **fields)
    [claimed] = await take(database, 1)

    class Listening:
        def __init__(self, driver: object) -> None:
            self.driver = driver

        def __getattr__(self, name: str) -> object:
            real = getattr(self.driver, name)

            def call(sql: str, *values: object) -> object:
                said.append(sql)
                return real(sql, *values)

            return call if name in {"execute", "executemany"} else real

    def unit(tx: Transaction) -> None:
        said.clear()
        tx.driver = Listening(tx.driver)  # type: ignore[assignment]
        if tx.effects is not None:
            execute = tx.effects._execute
            tx.effects._execute = lambda sql, values: (said.append(sql), execute(sql, values))[1]
        finish(tx, [Ending(claimed.lease, None)], 0, office.bus.announce)
        tx.flush()

    await database.write(unit)
    assert said
    return list(said)


async def test_jobs_that_are_deleted_while_they_are_handed_over_are_told_once(
    office: PostOffice, second: Deliverer
) -> None:
    """The deed's own hand-over and the deliverer's meet in one delivery for each endpoint."""
    async with receiver() as there:
        for number in range(3):
            await office.endpoint(f"{there.url}/{number}")
        jobs = [await office.job() for _ in range(12)]

        async def delete(job_id: str) -> None:
            def unit(tx: Transaction) -> None:
                office.webhooks.hand_over(tx, office.organization_id, job_id)
                change.delete(tx, office.organization_id, job_id)

            await office.database.write(unit, tenant=office.organization_id)

        await asyncio.gather(
            office.deliverer.turn(), second.turn(), *(delete(job.id) for job in jobs)
        )
        while len(there.requests) < 36:
            await asyncio.gather(office.deliverer.turn(), second.turn())
            await asyncio.gather(office.deliverer.settle(), second.settle())
        told = sorted((request.path, request.told["data"]["id"]) for request in there.requests)
        assert told == sorted((f"/hook/{n}", job.id) for n in range(3) for job in jobs)
