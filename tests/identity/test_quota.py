"""Quotas: what is refused, what waits, and that nothing passes them together, on every database."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.files.conftest import Desk
from tests.files.conftest import desk as desk
from tests.identity.people import change
from tests.jobs.make import NEW_JOB, organization, queue, silent, slots
from tests.storage.conftest import opening as opening
from tests.storage.conftest import store as store
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Problem, TooLarge, TooMany
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.service import Files
from usina.kernel.files.upload import Piece
from usina.kernel.jobs.quota import JobQuotas
from usina.kernel.jobs.store.claim import ClaimRequest, Claims, claim
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.insert import insert_jobs
from usina.kernel.jobs.usage import usage_of
from usina.kernel.tenancy.quota import Quota, Quotas
from usina.kernel.tenancy.table import organizations

WORKERS = 6


async def limited(database: Database, **quota: int) -> str:
    owner = await organization(database)
    values = {f"quota_{name}": value for name, value in quota.items()}
    this = sa.update(organizations).where(organizations.c.id == owner)
    await change(database, this.values(values))
    return owner


async def known(database: Database, most: Quota | None = None) -> Quotas:
    quotas = Quotas(database, most or Quota())
    await quotas.learn()
    return quotas


async def test_what_changes_during_a_look_counts_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await limited(database, queued_jobs=5)
    quotas = Quotas(database, Quota())
    found, goes_on = asyncio.Event(), asyncio.Event()
    read = database.read

    async def slow(work: Any) -> Any:
        rows = await read(work)
        found.set()
        await goes_on.wait()
        return rows

    async def learnt() -> int | None:
        await quotas.learn()
        return quotas.of(owner).queued_jobs

    monkeypatch.setattr(database, "read", slow)
    first, beside = asyncio.create_task(learnt()), asyncio.create_task(learnt())
    await found.wait()
    monkeypatch.setattr(database, "read", read)
    this = sa.update(organizations).where(organizations.c.id == owner)
    await change(database, this.values(quota_queued_jobs=2))
    quotas.forget()
    after = asyncio.create_task(learnt())
    await asyncio.wait({after}, timeout=0.1)
    goes_on.set()
    assert await asyncio.gather(first, beside, after) == [2, 2, 2]


async def claims(database: Database, request: ClaimRequest) -> Claims:
    return await database.write(lambda tx: claim(tx, request, silent))


async def end(database: Database, lease: Any) -> None:
    ending = Ending(lease, None)
    await database.write(lambda tx: finish(tx, [ending], 1.0, silent, lambda job: None))


async def test_jobs_above_the_quota_wait_and_hold_nobody_up(database: Database) -> None:
    owner, other = await limited(database, running_jobs=2), await organization(database)
    await queue(database, owner, 5)
    await queue(database, other, 5)
    quotas = await known(database)
    request = replace(slots(8), running_jobs=quotas.running_jobs)
    first = await claims(database, request)
    assert not first.exhausted, "there are jobs that may begin"
    more = await claims(database, replace(request, most=8 - len(first.taken)))
    begun = [*first.taken, *more.taken]
    assert Counter(c.job.organization_id for c in begun) == {owner: 2, other: 5}
    second = await claims(database, request)
    assert second.taken == []
    assert second.exhausted, "a worker waits for a word, and does not ask again and again"
    [ended, *_] = [c for c in begun if c.job.organization_id == owner]
    await end(database, ended.lease)
    third = await claims(database, request)
    assert [c.job.organization_id for c in third.taken] == [owner]


async def test_of_many_claims_at_once_none_passes_the_quota(database: Database) -> None:
    owners = [await limited(database, running_jobs=3) for _ in range(2)]
    for owner in owners:
        await queue(database, owner, 20)
    quotas = await known(database)
    highest: Counter[str] = Counter()
    done: Counter[str] = Counter()

    async def work() -> None:
        while sum(done.values()) < 40:
            request = replace(slots(4), running_jobs=quotas.running_jobs)
            found = await claims(database, request)
            for owner in owners:
                used = await database.read(lambda tx, o=owner: usage_of(tx, o))
                highest[owner] = max(highest[owner], used.running_jobs)
            for taken in found.taken:
                await end(database, taken.lease)
                done[taken.job.organization_id] += 1
            if not found.taken:
                await asyncio.sleep(0.01)

    async with asyncio.timeout(60):
        await asyncio.gather(*(work() for _ in range(WORKERS)))
    assert done == dict.fromkeys(owners, 20)
    assert max(highest.values()) == 3


async def test_the_platforms_own_are_the_most_of_everybody(database: Database) -> None:
    more = await limited(database, running_jobs=9)
    less = await limited(database, running_jobs=1)
    none = await organization(database)
    quotas = await known(database, Quota(running_jobs=2))
    assert [quotas.running_jobs(owner) for owner in (more, less, none)] == [2, 1, 2]
    for owner in (more, less, none):
        now = await database.read(lambda tx, o=owner: quotas.now_of(tx, o))
        assert now == quotas.of(owner)


async def test_of_many_queued_at_once_none_passes_the_quota(database: Database) -> None:
    owner = await limited(database, queued_jobs=5)
    quotas = JobQuotas(database, await known(database))

    async def submit(count: int) -> int:
        new = replace(NEW_JOB, organization_id=owner)

        def unit(tx: Any) -> None:
            insert_jobs(tx, [new] * count, silent)
            quotas.keep_queue(tx, [owner])

        await database.write(unit)
        return count

    made = await asyncio.gather(*(submit(2) for _ in range(6)), return_exceptions=True)
    refused = [one for one in made if isinstance(one, TooMany)]
    assert made.count(2) == 2
    assert [one.code for one in refused] == ["quota_exceeded"] * 4
    used = await database.read(lambda tx: usage_of(tx, owner))
    assert used.queued_jobs == 4, "a batch that would pass it leaves none"


async def test_what_is_counted_survives_whatever_happens_to_a_process(database: Database) -> None:
    """Nothing is kept beside the rows: a fresh process counts the same."""
    owner = await limited(database, running_jobs=2, queued_jobs=9)
    await queue(database, owner, 4)
    taken = await claims(database, slots(1))
    used = await database.read(lambda tx: usage_of(tx, owner))
    assert (used.running_jobs, used.queued_jobs, used.stored_bytes) == (1, 3, 0)
    await end(database, taken.taken[0].lease)
    used = await database.read(lambda tx: usage_of(tx, owner))
    assert (used.running_jobs, used.queued_jobs) == (0, 3)


async def chunks(size: int) -> Any:
    yield b"x" * size


async def test_of_many_files_at_once_none_passes_the_quota(desk: Desk) -> None:
    owner = desk.caller.organization_id
    this = sa.update(organizations).where(organizations.c.id == owner)
    await change(desk.database, this.values(quota_stored_bytes=250))
    quotas = JobQuotas(desk.database, await known(desk.database))
    limits = FileLimits(10_000, timedelta(hours=1), quotas.keep_room)
    files = Files(desk.database, desk.store, desk.clock, lambda tx, i: False, limits)

    async def upload() -> str:
        return (await files.receive(desk.caller, "x.bin", None, chunks(100))).id

    made = await asyncio.gather(*(upload() for _ in range(5)), return_exceptions=True)
    kept = [one for one in made if isinstance(one, str)]
    refused = [one for one in made if isinstance(one, TooLarge)]
    assert (len(kept), len(refused)) == (2, 3)
    assert {one.code for one in refused} == {"quota_exceeded"}
    assert len(desk.objects()) == 2, "what was refused left nothing"
    with pytest.raises(TooLarge):
        await files.uploads.open(desk.caller, "y.bin", None, 51)
    opened = await files.uploads.open(desk.caller, "y.bin", None, 50)
    with pytest.raises(TooLarge):
        await upload()
    assert opened.size_bytes == 50, "an upload has its bytes from its opening"
    await files.delete(desk.caller, kept[0])
    assert isinstance(await upload(), str)
    assert isinstance(await files.receive(desk.other, "z", None, chunks(900)), object)


async def test_a_ticket_without_a_size_is_refused_when_its_bytes_are_there(desk: Desk) -> None:
    owner = desk.caller.organization_id
    this = sa.update(organizations).where(organizations.c.id == owner)
    await change(desk.database, this.values(quota_stored_bytes=50))
    quotas = JobQuotas(desk.database, await known(desk.database))
    limits = FileLimits(10_000, timedelta(hours=1), quotas.keep_room)
    files = Files(desk.database, desk.store, desk.clock, lambda tx, i: False, limits)
    ticket = await files.uploads.open(desk.caller, "x.bin", None, None)
    with pytest.raises(Problem) as refused:
        await files.uploads.receive(ticket.id, Piece(stop=100), chunks(100))
    assert refused.value.code == "quota_exceeded"
    used = await desk.database.read(lambda tx: usage_of(tx, owner))
    assert used.stored_bytes == 0


def test_of_two_quotas_the_smaller_counts() -> None:
    assert Quota().least(Quota(1, None, 3)) == Quota(1, None, 3)
    assert Quota(5, 5, 5).least(Quota(1, None, 9)) == Quota(1, 5, 5)
