"""What a program tells of its run, in the row of its job and in the log."""

from dataclasses import replace

from tests.jobs.make import LEASE, organization, queue, silent, take
from usina.kernel.db.unit_of_work import Database
from usina.kernel.events.log import read_after
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import JobError
from usina.kernel.jobs.store.claim import Claimed
from usina.kernel.jobs.store.ending import Ending, finish, rescue
from usina.kernel.jobs.store.lease import Step, record_steps
from usina.kernel.jobs.store.query import find


async def begun(database: Database) -> Claimed:
    await queue(database, await organization(database))
    [claimed] = await take(database)
    return claimed


async def step(database: Database, claimed: Claimed, **metrics: float) -> None:
    told = Step(claimed.lease, 0.5, "solving", metrics)
    await database.write(lambda tx: record_steps(tx, [told], silent))


async def job_of(database: Database, claimed: Claimed) -> Job:
    owner = claimed.job.organization_id
    found = await database.read(lambda tx: find(tx, owner, claimed.job.id, LEASE), tenant=owner)
    assert found is not None
    return found


async def test_the_log_tells_what_differs_and_the_row_has_all(database: Database) -> None:
    claimed = await begun(database)
    await step(database, claimed, residual=0.5, cells=8)
    await step(database, claimed, residual=0.25, cells=8)
    await step(database, claimed, residual=0.25, cells=8)
    owner = claimed.job.organization_id
    events = await database.read(lambda tx: read_after(tx, owner, claimed.job.id, None, 100))
    told = [event.data.get("metrics") for event in events if event.type == "job.progress"]
    assert told == [{"residual": 0.5, "cells": 8}, {"residual": 0.25}, None]
    assert (await job_of(database, claimed)).metrics == {"residual": 0.25, "cells": 8}


async def test_a_worker_that_lost_its_lease_writes_no_metric(database: Database) -> None:
    claimed = await begun(database)
    await step(database, claimed, residual=0.5)
    late = replace(claimed, lease=replace(claimed.lease, token=claimed.job.id))
    await step(database, late, residual=9.0)
    assert (await job_of(database, claimed)).metrics == {"residual": 0.5}


async def test_metrics_outlive_a_lost_worker_and_go_when_the_next_attempt_begins(
    database: Database,
) -> None:
    claimed = await begun(database)
    await step(database, claimed, residual=0.5)
    await database.write(lambda tx: rescue(tx, [], silent, everything=True))
    waiting = await job_of(database, claimed)
    assert (waiting.status, waiting.metrics) == ("QUEUED", {"residual": 0.5})
    [again] = await take(database)
    assert again.job.metrics == {}
    assert (await job_of(database, claimed)).metrics == {}
    failed = Ending(again.lease, JobError.of("timeout", None, "Late."), metrics={"residual": 0.1})
    await database.write(lambda tx: finish(tx, [failed], 1, silent))
    ended = await job_of(database, claimed)
    assert (ended.status, ended.metrics) == ("FAILED", {"residual": 0.1})
