"""Deliveries: what ends is told, signed, again and again until it is heard, and no oftener."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.jobs.make import queue, silent
from tests.webhooks.post_office import PostOffice, post_office
from tests.webhooks.receiver import answers, receiver, resets
from usina.kernel.beat import Beat, Retention
from usina.kernel.clock import rfc3339
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.idempotency.service import Idempotency
from usina.kernel.jobs.state import JobError
from usina.kernel.jobs.store import change
from usina.kernel.telemetry import metrics_text
from usina.kernel.webhooks.delivery import NewDelivery, add, forget_before
from usina.kernel.webhooks.endpoint import EndpointPlan
from usina.kernel.webhooks.table import webhook_deliveries

FAILED = JobError.of("runner_failed", None, "It fell over.", retryable=False)
HOURS = 3600


@pytest.fixture
async def office(database: Database, clock: FakeClock) -> AsyncIterator[PostOffice]:
    async with post_office(database, clock) as opened:
        yield opened


async def test_the_end_of_a_job_is_told_to_its_callback(office: PostOffice) -> None:
    async with receiver() as there:
        job = await office.job(callback_url=there.url)
        ended = office.clock.moment
        await office.turn(3)
        [request] = there.requests
    assert (await office.names())[job.id][-1] == request.event
    told = request.told
    assert list(told) == ["type", "timestamp", "data"]
    assert (told["type"], told["timestamp"]) == ("job.succeeded", rfc3339(ended))
    assert (told["data"]["id"], told["data"]["status"]) == (job.id, "SUCCEEDED")
    assert told["data"]["finished_at"] == rfc3339(ended)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-timestamp"] == str(int(office.clock.moment.timestamp()))
    assert request.signed_by(await office.secret())
    [delivery] = await office.deliveries()
    assert (delivery.id, delivery.endpoint_id, delivery.job_id) == (request.id, None, job.id)
    assert (delivery.status, delivery.attempt_count, delivery.next_at) == ("delivered", 1, None)
    assert delivery.attempts[0].status_code == 204
    await office.turn(25 * HOURS)
    assert len(there.requests) == 1


@pytest.mark.parametrize(("error", "kind"), [(None, "succeeded"), (FAILED, "failed")])
async def test_an_endpoint_is_told_of_ends(
    office: PostOffice, error: JobError | None, kind: str
) -> None:
    async with receiver() as there:
        await office.job()
        endpoint = await office.endpoint(there.url)
        job = await office.job(error)
        await office.turn()
        [request] = there.requests
        assert request.told["type"] == f"job.{kind}"
        assert request.told["data"]["id"] == job.id, "what was before it came is not told"
        [delivery] = await office.deliveries(endpoint_id=endpoint.id)
        assert delivery.id == request.id


async def test_a_queued_job_that_is_cancelled_is_told(office: PostOffice) -> None:
    async with receiver() as there:
        [job] = await queue(office.database, office.organization_id, callback_url=there.url)
        await office.database.write(
            lambda tx: change.cancel(tx, office.organization_id, job.id, office.bus.announce)
        )
        await office.turn()
        assert [request.told["type"] for request in there.requests] == ["job.cancelled"]


async def test_every_type_that_is_asked_for_comes_in_the_order_of_the_log(
    office: PostOffice,
) -> None:
    types = ("job.queued", "job.running", "job.succeeded")
    async with receiver() as there:
        await office.endpoint(there.url, *types)
        await office.job()
        await office.turn()
        assert [request.told["type"] for request in there.requests] == list(types)
        assert len({request.id for request in there.requests}) == 3
        [named] = (await office.names()).values()
        assert [request.event for request in there.requests] == named
        assert [seq for _, seq in named] == [1, 2, 3]


async def test_a_later_event_of_a_job_waits_for_the_first_attempt_at_the_one_before(
    office: PostOffice,
) -> None:
    async with receiver(answers(500)) as there:
        await office.endpoint(there.url, "job.queued", "job.succeeded")
        await office.job()
        await office.turn()
        assert [r.told["type"] for r in there.requests] == ["job.queued", "job.succeeded"]
        await office.turn(10)
        assert [r.told["type"] for r in there.requests][2:] == ["job.queued"]


async def test_what_fails_is_tried_again_for_a_day_and_then_given_up(office: PostOffice) -> None:
    began = office.clock.moment
    async with receiver(*[answers(500, b"not now")] * 20) as there:
        await office.job(callback_url=there.url)
        moments: list[timedelta] = []
        while not moments or (await office.deliveries())[0].next_at is not None:
            await office.turn()
            moments.append(office.clock.moment - began)
            due = (await office.deliveries())[0].next_at
            office.clock.moment = due or office.clock.moment
        assert len({request.id for request in there.requests}) == 1
        assert len(there.requests) == len(moments) == 10
    planned = [0, 5, 300, 1800, 2 * HOURS, 5 * HOURS, 10 * HOURS, 14 * HOURS, 20 * HOURS]
    for moment, wanted, before in zip(moments, planned, [0, 0, *planned[1:]], strict=False):
        assert wanted <= moment.total_seconds() <= wanted + 0.1 * (wanted - before)
    assert moments[-1] <= timedelta(hours=24)
    [delivery] = await office.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("failed", 10)
    assert {(a.status_code, a.error, a.answer) for a in delivery.attempts} == {
        (500, "status", "not now")
    }


async def test_a_receiver_that_is_away_for_ten_minutes_loses_nothing(office: PostOffice) -> None:
    async with receiver(*[resets()] * 20) as there:
        await office.endpoint(there.url)
        jobs = [await office.job(FAILED if n % 3 == 0 else None) for n in range(5)]
        for _ in range(10):
            await office.turn(60)
        assert len(there.requests) > len(jobs)
        there.script.clear()
        tried = len(there.requests)
        for _ in range(30):
            await office.turn(60)
        heard = [request.told["data"]["id"] for request in there.requests[tried:]]
        assert sorted(heard) == sorted(job.id for job in jobs), "each once, once it is back"
        assert {d.status for d in await office.deliveries()} == {"delivered"}


async def test_an_answer_of_410_ends_it_and_disables_the_endpoint(office: PostOffice) -> None:
    async with receiver(answers(410)) as there:
        gone = await office.endpoint(there.url)
        watcher = await office.endpoint(f"{there.url}/watcher", "webhook.disabled")
        await office.job()
        await office.job()
        await office.turn()
        await office.turn(60)
    now = await office.webhooks.get(office.organization_id, gone.id)
    assert (now.plan.enabled, now.disabled_reason) == (False, "gone")
    assert now.disabled_at is not None
    [news] = [r for r in there.requests if r.path.endswith("watcher")]
    told = {"endpoint_id": gone.id, "description": "", "reason": "gone"}
    assert (news.told["type"], news.told["data"]) == ("webhook.disabled", told)
    assert (await office.webhooks.get(office.organization_id, watcher.id)).plan.enabled
    assert {d.next_at for d in await office.deliveries(endpoint_id=gone.id)} == {None}


async def test_a_callback_that_is_gone_is_given_up(office: PostOffice) -> None:
    async with receiver(answers(410)) as there:
        await office.job(callback_url=there.url)
        await office.turn()
        await office.turn(HOURS)
        assert len(there.requests) == 1
    [delivery] = await office.deliveries()
    assert (delivery.status, delivery.next_at) == ("failed", None)


async def test_an_endpoint_that_fails_for_days_is_disabled(office: PostOffice) -> None:
    async with receiver(*[answers(503)] * 100) as there:
        endpoint = await office.endpoint(there.url)
        for _ in range(4):
            await office.job()
            await office.turn()
            await office.turn(25 * HOURS)
        now = await office.webhooks.get(office.organization_id, endpoint.id)
        assert now.plan.enabled
        assert now.failing_since is not None
        office.clock.advance(25 * HOURS)
        await office.job()
        await office.turn()
        now = await office.webhooks.get(office.organization_id, endpoint.id)
        assert (now.plan.enabled, now.disabled_reason) == (False, "failing")
        count = len(there.requests)
        await office.job()
        await office.turn(HOURS)
        assert len(there.requests) == count, "nothing more is sent"


async def test_one_success_makes_up_for_failures(office: PostOffice) -> None:
    async with receiver(answers(500), answers(204)) as there:
        endpoint = await office.endpoint(there.url)
        await office.job()
        await office.turn()
        failing = await office.webhooks.get(office.organization_id, endpoint.id)
        assert failing.failing_since == office.clock.moment
        await office.turn(10)
        well = await office.webhooks.get(office.organization_id, endpoint.id)
        assert well.failing_since is None


async def test_a_busy_receiver_is_left_alone_for_as_long_as_it_asks(office: PostOffice) -> None:
    async with receiver(answers(429, headers=["Retry-After: 120"])) as there:
        await office.endpoint(there.url)
        await office.job()
        await office.turn()
        await office.job()
        await office.turn(1)
        assert len(there.requests) == 2, "what came later is tried once"
        await office.turn(60)
        assert len(there.requests) == 2
        await office.turn(61)
        assert len(there.requests) == 3
    assert {d.status for d in await office.deliveries()} == {"delivered"}


async def test_a_moment_to_come_back_is_a_date_too(office: PostOffice) -> None:
    back = (office.clock.moment + timedelta(minutes=10)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    async with receiver(answers(503, headers=[f"Retry-After: {back}"])) as there:
        await office.job(callback_url=there.url)
        await office.turn()
    [delivery] = await office.deliveries()
    assert delivery.next_at == office.clock.moment + timedelta(minutes=10)


async def test_a_replay_goes_out_again_under_the_same_id(office: PostOffice) -> None:
    async with receiver() as there:
        await office.job(callback_url=there.url)
        await office.turn()
        [delivery] = await office.deliveries()
        again = await office.webhooks.replay(office.organization_id, delivery.id)
        assert (again.status, again.attempt_count) == ("pending", 1)
        await office.turn()
        first, second = there.requests
    assert first.id == second.id
    assert first.body == second.body
    [delivery] = await office.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("delivered", 2)


async def test_what_was_given_up_is_tried_as_often_again(office: PostOffice) -> None:
    async with receiver(answers(410), answers(500)) as there:
        await office.job(callback_url=there.url)
        await office.turn()
        [delivery] = await office.deliveries()
        assert delivery.status == "failed"
        office.clock.advance(48 * HOURS)
        await office.webhooks.replay(office.organization_id, delivery.id)
        await office.turn()
        await office.turn(10)
        assert len(there.requests) == 3
    [delivery] = await office.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("delivered", 3)


async def test_a_replay_to_an_endpoint_that_takes_nothing_is_refused(office: PostOffice) -> None:
    async with receiver() as there:
        endpoint = await office.endpoint(there.url)
        await office.job()
        await office.turn()
        [delivery] = await office.deliveries()
    off = EndpointPlan(there.url, enabled=False)
    await office.webhooks.replace(office.organization_id, endpoint.id, off)
    with pytest.raises(Conflict) as disabled:
        await office.webhooks.replay(office.organization_id, delivery.id)
    assert disabled.value.code == "endpoint_disabled"
    await office.webhooks.delete(office.organization_id, endpoint.id)
    with pytest.raises(Conflict) as deleted:
        await office.webhooks.replay(office.organization_id, delivery.id)
    assert deleted.value.code == "endpoint_deleted"
    assert [d.id for d in await office.deliveries()] == [delivery.id], "it stays to be looked at"


async def test_what_a_disabled_endpoint_misses_is_not_sent_later(office: PostOffice) -> None:
    async with receiver() as there:
        plan = EndpointPlan(there.url)
        endpoint = await office.endpoint(there.url)
        change_to = office.webhooks.replace
        await change_to(office.organization_id, endpoint.id, EndpointPlan(there.url, enabled=False))
        await office.job()
        await office.turn()
        await change_to(office.organization_id, endpoint.id, plan)
        later = await office.job()
        await office.turn()
        assert [request.told["data"]["id"] for request in there.requests] == [later.id]


async def test_what_waits_goes_to_the_new_address(office: PostOffice) -> None:
    async with receiver(resets()) as old, receiver() as new:
        endpoint = await office.endpoint(old.url)
        await office.job()
        await office.turn()
        moved = EndpointPlan(new.url)
        await office.webhooks.replace(office.organization_id, endpoint.id, moved)
        await office.turn(10)
        assert (len(old.requests), len(new.requests)) == (1, 1)
        assert old.requests[0].id == new.requests[0].id


async def test_a_reopened_job_is_told_of_again_and_its_first_end_is_not_lost(
    office: PostOffice,
) -> None:
    async with receiver() as there:
        await office.endpoint(there.url)
        job = await office.job(FAILED, callback_url=f"{there.url}/own")

        def reopen(tx: Transaction) -> None:
            office.webhooks.hand_over(tx, office.organization_id, job.id)
            change.reopen(tx, office.organization_id, job.id, silent)

        await office.database.write(reopen, tenant=office.organization_id)
        await office.end()
        await office.turn()
        for path in ("/hook", "/hook/own"):
            told = [r.told for r in there.requests if r.path == path]
            assert [t["type"] for t in told] == ["job.failed", "job.succeeded"]
            assert [t["data"]["status"] for t in told] == ["FAILED", "SUCCEEDED"]


async def test_the_end_of_a_job_that_is_deleted_at_once_is_told(office: PostOffice) -> None:
    async with receiver() as there:
        await office.endpoint(there.url)
        job = await office.job(callback_url=f"{there.url}/own")

        def delete(tx: Transaction) -> None:
            office.webhooks.hand_over(tx, office.organization_id, job.id)
            change.delete(tx, office.organization_id, job.id)

        await office.database.write(delete, tenant=office.organization_id)
        await office.turn()
        assert sorted(r.path for r in there.requests) == ["/hook", "/hook/own"]
        assert {r.told["data"]["id"] for r in there.requests} == {job.id}


async def test_old_deliveries_go_but_none_that_waits(office: PostOffice) -> None:
    async with receiver(answers(204), *[answers(500)] * 9) as there:
        await office.job(callback_url=there.url)
        await office.turn()
        await office.job(callback_url=there.url)
        await office.turn()
    office.clock.advance(60)

    def unit(tx: Transaction) -> tuple[int, int]:
        moment: datetime = tx.now
        return forget_before(tx, moment, 1), forget_before(tx, moment, 5)

    assert await office.database.write(unit) == (1, 0)
    assert [d.status for d in await office.deliveries()] == ["pending"]


async def test_another_organization_sees_and_changes_nothing(
    office: PostOffice, database: Database, clock: FakeClock
) -> None:
    async with receiver() as there, post_office(database, clock) as stranger:
        endpoint = await office.endpoint(there.url)
        await office.job()
        await stranger.job()
        await office.turn()
        assert len(there.requests) == 1
        [delivery] = await office.deliveries()
        assert await stranger.deliveries() == []
        mine, webhooks = stranger.organization_id, stranger.webhooks
        for deed in (
            webhooks.get(mine, endpoint.id),
            webhooks.replace(mine, endpoint.id, EndpointPlan(there.url)),
            webhooks.delete(mine, endpoint.id),
            webhooks.test(mine, endpoint.id, lambda *_: None),
            webhooks.secret(mine, endpoint.id),
            webhooks.rotate(mine, endpoint.id),
            webhooks.delivery(mine, delivery.id),
            webhooks.replay(mine, delivery.id),
        ):
            with pytest.raises(NotFound):
                await deed
        assert await stranger.secret() != await office.secret()


async def test_what_can_not_be_said_is_given_up_in_the_end(office: PostOffice) -> None:
    """Not tried for ever, once in each claim."""
    async with receiver() as there:
        no_job = NewDelivery(
            *(office.organization_id, None, None, None, None),
            *("job.succeeded", office.clock.moment, {}, there.url),
        )
        await office.database.write(lambda tx: add(tx, [no_job]))
        await office.turn()
        [delivery] = await office.deliveries()
        assert (delivery.status, delivery.attempts[0].error) == ("pending", "internal")
        for _ in range(30):
            await office.turn(2 * HOURS)
        assert there.requests == []
    [delivery] = await office.deliveries()
    assert (delivery.status, delivery.attempt_count) == ("failed", 10)


async def test_a_job_without_a_receiver_costs_no_row(office: PostOffice) -> None:
    await office.job()
    await office.turn()
    rows = sa.select(sa.func.count()).select_from(webhook_deliveries)
    assert await office.database.read(lambda tx: tx.execute(rows).scalar_one()) == 0


async def test_what_is_sent_and_what_waits_is_counted(office: PostOffice) -> None:
    async def measured(line: str) -> float:
        beat = Beat(office.database, *[None] * 4, Retention(None, None))  # type: ignore[arg-type]
        await beat.measure_webhooks()
        text = metrics_text().decode()
        found = [row.split()[1] for row in text.splitlines() if row.startswith(line)]
        return float(found[0]) if found else 0

    results = [
        f'usina_webhook_attempts_total{{result="{each}"}}' for each in ("delivered", "status")
    ]
    before = [await measured(line) for line in results]
    async with receiver(answers(500)) as there:
        await office.job(callback_url=there.url)
        await office.turn()
        await office.job(callback_url=there.url)
        await office.turn()
    assert [await measured(line) for line in results] == [before[0] + 1, before[1] + 1]
    assert await measured("usina_webhooks_pending ") == 1


async def test_the_clockwork_lets_old_deliveries_go(office: PostOffice) -> None:
    async with receiver() as there:
        await office.job(callback_url=there.url)
        await office.turn()
    idempotency = Idempotency(office.database, 1)
    kept = Retention(None, None, timedelta(days=30))
    beat = Beat(office.database, None, None, idempotency, None, kept)  # type: ignore[arg-type]
    office.clock.advance(29 * 24 * HOURS)
    await beat.forget_old()
    assert len(await office.deliveries()) == 1
    office.clock.advance(2 * 24 * HOURS)
    await beat.forget_old()
    assert await office.deliveries() == []
