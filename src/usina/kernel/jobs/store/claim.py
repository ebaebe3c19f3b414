"""Claiming: which jobs a worker runs next.

The lane (queue, organization) served least lately comes first, in it the highest priority, then
the oldest job. Several jobs are taken in one go, one from each lane in turn.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, zip_longest

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import Announce, NewEvent, append
from usina.kernel.failpoints import reach
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.store.row import job_of
from usina.kernel.jobs.table import DELAYED, QUEUED, READY, jobs, lanes, queues


@dataclass(frozen=True, slots=True)
class Lease:
    """What a worker holds of a job; every write of the worker shows it."""

    job_id: str
    attempt: int
    token: str


@dataclass(frozen=True, slots=True)
class Claimed:
    job: Job
    lease: Lease
    slots: int


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Jobs for the ``free`` slots, or up to ``most`` where all are of the ``small`` models.

    A job that asks for more slots than the worker has at all (``capacity``) gets the whole worker.
    """

    worker_id: str
    queue: str
    free: int
    capacity: int
    most: int
    small: Collection[str]
    lease: timedelta


def claim(tx: Transaction, request: ClaimRequest, announce: Announce) -> list[Claimed]:
    """Takes the next jobs of the queue and starts their attempt: RUNNING, leased, announced."""
    _promote_due(tx)
    chosen = _choose(request, _candidates(tx, request))
    if not chosen:
        return []
    token = new_id()
    rows = tx.execute(
        sa.update(jobs)
        .where(jobs.c.id.in_([c.id for c in chosen]), QUEUED)
        .values(
            status="RUNNING",
            started_at=tx.now,
            finished_at=None,
            available_at=None,
            progress=0.0,
            stage=None,
            error=None,
            peak_memory_bytes=None,
            worker_id=request.worker_id,
            lease_token=token,
            lease_expires_at=tx.now + request.lease,
            last_seq=jobs.c.last_seq + 1,
        )
        .returning(*jobs.c)
    ).all()
    order = {c.id: place for place, c in enumerate(chosen)}
    claimed = [
        Claimed(job_of(row), Lease(row.id, row.attempt, token), row.slots)
        for row in sorted(rows, key=lambda row: order[row.id])
    ]
    _mark_served(tx, request.queue, {c.job.organization_id for c in claimed})
    append(tx, [_running(c.job) for c in claimed], announce)
    reach("claim.in_transaction")
    return claimed


def next_due(tx: Transaction) -> datetime | None:
    """When the next delayed job becomes claimable."""
    return tx.execute(sa.select(sa.func.min(jobs.c.available_at)).where(DELAYED)).scalar_one()


@dataclass(frozen=True, slots=True)
class _Candidate:
    id: str
    model: str
    slots: int


def _promote_due(tx: Transaction) -> None:
    tx.execute(
        sa.update(jobs)
        .where(
            DELAYED,
            jobs.c.available_at <= tx.now,
        )
        .values(available_at=None)
    )


def _candidates(tx: Transaction, request: ClaimRequest) -> list[_Candidate]:
    """The best jobs of the lanes with work, one of each lane in turn."""
    ready = sa.and_(
        jobs.c.queue == lanes.c.queue,
        jobs.c.organization_id == lanes.c.organization_id,
        READY,
    )
    paused = sa.exists().where(queues.c.name == request.queue, queues.c.paused)
    with_work = tx.execute(
        sa.select(lanes.c.organization_id)
        .where(lanes.c.queue == request.queue, sa.exists().where(ready), ~paused)
        .order_by(lanes.c.served_at.nulls_first(), lanes.c.organization_id)
        .limit(request.most)
    ).scalars()
    by_lane = [_best_of_lane(tx, request, organization_id) for organization_id in list(with_work)]
    return [c for c in chain.from_iterable(zip_longest(*by_lane)) if c is not None]


def _best_of_lane(tx: Transaction, request: ClaimRequest, organization_id: str) -> list[_Candidate]:
    rows = tx.execute(
        sa.select(jobs.c.id, jobs.c.model, jobs.c.slots)
        .where(
            jobs.c.queue == request.queue,
            jobs.c.organization_id == organization_id,
            READY,
        )
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(request.most)
        .with_for_update(skip_locked=True)
    )
    return [_Candidate(row.id, row.model, row.slots) for row in rows]


def _choose(request: ClaimRequest, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """As many as the free slots hold; more only while all of them are small."""
    chosen: list[_Candidate] = []
    free, all_small = request.free, True
    for candidate in candidates[: request.most]:
        all_small = all_small and candidate.model in request.small
        fits = candidate.slots <= free or free == request.capacity
        if not (fits or all_small):
            break
        chosen.append(candidate)
        free = max(0, free - candidate.slots)
    return chosen


def _mark_served(tx: Transaction, queue: str, organization_ids: set[str]) -> None:
    tx.execute(
        sa.update(lanes)
        .where(lanes.c.queue == queue, lanes.c.organization_id.in_(sorted(organization_ids)))
        .values(served_at=tx.now)
    )


def _running(job: Job) -> NewEvent:
    data = {"attempt": job.attempt}
    return NewEvent(job.organization_id, job.id, job.last_seq, "job.running", data)
