"""Holding jobs: heartbeats, progress, and giving up what was claimed but not begun.

Whoever holds several rows takes them in the order of their ids, so that no two wait for each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import Announce, NewEvent, append
from usina.kernel.failpoints import reach
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.jobs.table import RUNNING, job_logs, jobs, workers


@dataclass(frozen=True, slots=True)
class Standing:
    """What a heartbeat found: leases that stand, those among them to be cancelled, and whether the
    worker is to take nothing more."""

    held: frozenset[str]
    cancelled: frozenset[str]
    draining: bool = False


@dataclass(frozen=True, slots=True)
class WorkerRow:
    id: str
    name: str
    slots: int
    sandbox: Mapping[str, str] = field(default_factory=dict[str, str])
    """By layer why it is not on, and nothing where it is."""
    holds_session: bool = False
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    """By name why a model can not run there, and nothing where it can."""
    queues: Sequence[str] = ()
    warm: Sequence[str] = ()
    """Models whose programs wait loaded."""


def heartbeat(
    tx: Transaction, worker: WorkerRow, leases: Sequence[Lease], lease: timedelta
) -> Standing:
    """Renews the worker's presence and its leases, expired or not, as far as they are its own."""
    draining = _be_seen(tx, worker)
    if not leases:
        return Standing(frozenset(), frozenset(), draining)
    tokens = {item.job_id: item for item in leases}
    own = (
        sa.select(jobs.c.id)
        .where(jobs.c.id.in_(sorted(tokens)), RUNNING, jobs.c.worker_id == worker.id)
        .order_by(jobs.c.id)
        .with_for_update()
    )
    rows = tx.execute(
        sa.update(jobs)
        .where(jobs.c.id.in_(list(tx.execute(own).scalars())))
        .values(lease_expires_at=tx.now + lease)
        .returning(jobs.c.id, jobs.c.attempt, jobs.c.lease_token, jobs.c.cancel_requested_at)
    ).all()
    reach("heartbeat.in_transaction")
    standing = [
        row
        for row in rows
        if tokens[row.id].attempt == row.attempt and tokens[row.id].token == row.lease_token
    ]
    return Standing(
        frozenset(row.id for row in standing),
        frozenset(row.id for row in standing if row.cancel_requested_at is not None),
        draining,
    )


def _be_seen(tx: Transaction, worker: WorkerRow) -> bool:
    """Renews the worker's row, or makes it; whether the worker is asked to drain."""
    told: dict[str, Any] = {"seen_at": tx.now, "warm": list(worker.warm)}
    known = sa.update(workers).where(workers.c.id == worker.id).values(told)
    row = tx.execute(known.returning(workers.c.draining)).one_or_none()
    if row is not None:
        return row.draining
    new: dict[str, Any] = {"id": worker.id, "name": worker.name, "slots": worker.slots}
    new |= {"sandbox": dict(worker.sandbox), "holds_session": worker.holds_session}
    new |= {"queues": list(worker.queues), "models": dict(worker.models), "started_at": tx.now}
    tx.execute(sa.insert(workers), new | told)
    return False


def forget_worker(tx: Transaction, worker_id: str) -> None:
    tx.execute(sa.delete(workers).where(workers.c.id == worker_id))


@dataclass(frozen=True, slots=True)
class Step:
    """How far an attempt is."""

    lease: Lease
    progress: float
    stage: str | None


def record_steps(tx: Transaction, steps: Sequence[Step], announce: Announce) -> None:
    """Writes progress where the lease stands, with its event."""
    events: list[NewEvent] = []
    for step in sorted(steps, key=lambda step: step.lease.job_id):
        row = tx.execute(
            sa.update(jobs)
            .where(
                jobs.c.id == step.lease.job_id,
                RUNNING,
                jobs.c.attempt == step.lease.attempt,
                jobs.c.lease_token == step.lease.token,
            )
            .values(progress=step.progress, stage=step.stage, last_seq=jobs.c.last_seq + 1)
            .returning(jobs.c.organization_id, jobs.c.last_seq)
        ).one_or_none()
        if row is not None:
            data = {"progress": step.progress, "stage": step.stage}
            events.append(
                NewEvent(row.organization_id, step.lease.job_id, row.last_seq, "job.progress", data)
            )
    append(tx, events, announce)


def append_log(tx: Transaction, chunks: Mapping[Lease, tuple[int, bytes]]) -> None:
    """Adds output to running logs: for each lease, the offset of its first byte and the bytes."""
    standing = tx.execute(
        sa.select(jobs.c.id, jobs.c.attempt, jobs.c.lease_token)
        .where(jobs.c.id.in_([lease.job_id for lease in chunks]), RUNNING)
        .order_by(jobs.c.id)
        .with_for_update()
    )
    fences = {(row.id, row.attempt, row.lease_token) for row in standing}
    rows = [
        {"job_id": lease.job_id, "attempt": lease.attempt, "start_byte": start, "data": data}
        for lease, (start, data) in chunks.items()
        if (lease.job_id, lease.attempt, lease.token) in fences
    ]
    if rows:
        tx.execute(sa.insert(job_logs), rows)


def release(tx: Transaction, leases: Sequence[Lease], announce: Announce) -> None:
    """Puts back jobs that were claimed and never begun: the same attempt, queued again.

    Those whose cancellation was asked for meanwhile stay; ``hand_back`` ends them.
    """
    events: list[NewEvent] = []
    for lease in sorted(leases, key=lambda lease: lease.job_id):
        row = tx.execute(
            sa.update(jobs)
            .where(
                jobs.c.id == lease.job_id,
                RUNNING,
                jobs.c.attempt == lease.attempt,
                jobs.c.lease_token == lease.token,
                jobs.c.cancel_requested_at.is_(None),
            )
            .values(
                status="QUEUED",
                started_at=None,
                worker_id=None,
                lease_token=None,
                lease_expires_at=None,
                last_seq=jobs.c.last_seq + 1,
            )
            .returning(jobs.c.organization_id, jobs.c.last_seq)
        ).one_or_none()
        if row is not None:
            events.append(
                NewEvent(row.organization_id, lease.job_id, row.last_seq, "job.queued", {})
            )
    append(tx, events, announce)
