"""Small makers for tests of the store."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.store.claim import Claimed, ClaimRequest, claim
from usina.kernel.jobs.store.insert import NewJob, insert_jobs
from usina.kernel.tenancy.table import organizations

LEASE = timedelta(seconds=30)
NEW_JOB = NewJob(
    organization_id="",
    model="echo-v1",
    model_version="1",
    queue="default",
    slots=1,
    params={},
    inputs={},
    references=(),
    labels={},
    priority=0,
    max_attempts=3,
    timeout_seconds=60,
)


def silent(_events: object) -> None:
    """Nobody listens."""


async def organization(database: Database) -> str:
    organization_id = new_id()

    def unit(tx: Transaction) -> None:
        row = {"id": organization_id, "name": organization_id, "created_at": tx.now}
        tx.execute(sa.insert(organizations), row)

    await database.write(unit)
    return organization_id


async def queue(
    database: Database, organization_id: str, count: int = 1, **fields: Any
) -> list[Job]:
    new = replace(NEW_JOB, organization_id=organization_id, **fields)
    return await database.write(lambda tx: insert_jobs(tx, [new] * count, silent))


async def take(
    database: Database,
    free: int = 1,
    most: int | None = None,
    small: tuple[str, ...] = (),
    capacity: int = 8,
    warm: Collection[tuple[str, str | None]] = (),
) -> list[Claimed]:
    most = most or free
    request = ClaimRequest(new_id(), ("default",), free, capacity, most, small, LEASE, warm)
    return (await database.write(lambda tx: claim(tx, request, silent))).taken
