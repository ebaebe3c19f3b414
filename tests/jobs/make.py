"""Small makers for tests of the store."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store.claim import Claimed, ClaimRequest, Claims, claim
from usina.kernel.jobs.store.insert import NewJob, insert_jobs
from usina.kernel.tenancy.table import organizations

LEASE = timedelta(seconds=30)
MEMORY = 1024**2
MODELS = frozenset({"echo-v1", "heavy", "cold", "loaded"})
"""What a worker of the tests can run, and how it tells."""
ABLE = dict.fromkeys(MODELS, "")
NEW_JOB = NewJob(
    organization_id="",
    model="echo-v1",
    model_version="1",
    queue="default",
    needs=Room(1, MEMORY),
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


def slots(
    free: int,
    most: int | None = None,
    small: tuple[str, ...] = (),
    *,
    worker: str | None = None,
    capacity: int | None = None,
    warm: Collection[tuple[str, str | None]] = (),
    models: frozenset[str] = MODELS,
) -> ClaimRequest:
    """The request of a worker that lacks nothing but slots."""
    room, whole = (Room(count, 1024 * MEMORY) for count in (free, capacity or free))
    worker, most = worker or new_id(), most or free
    return ClaimRequest(worker, ("default",), models, room, whole, most, small, LEASE, warm)


async def take(
    database: Database,
    free: int = 1,
    most: int | None = None,
    small: tuple[str, ...] = (),
    capacity: int = 8,
    warm: Collection[tuple[str, str | None]] = (),
) -> list[Claimed]:
    request = slots(free, most, small, capacity=capacity, warm=warm)
    return (await database.write(lambda tx: claim_now(tx, request))).taken


def claim_now(tx: Transaction, request: ClaimRequest) -> Claims:
    """Once more where the first one only made jobs ready, as a worker does."""
    claims = claim(tx, request, silent)
    if not claims.taken and claims.next_due == tx.now:
        claims = claim(tx, request, silent)
    return claims
