"""Holding jobs: heartbeats, progress, and giving up what was claimed but not begun.

Whoever holds several rows takes them in the order of their ids, so that no two wait for each other.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.prepared import Prepared, among
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import Announce, NewEvent, append
from usina.kernel.failpoints import reach
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.jobs.store.lane import Lane, Moves, count
from usina.kernel.jobs.table import RUNNING, job_logs, jobs, workers
from usina.kernel.runners.gate import Value


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
    room: Room
    queues: Sequence[str]
    sandbox: Mapping[str, str] = field(default_factory=dict[str, str])
    """By layer why it is not on, and nothing where it is."""
    holds_session: bool = False
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    """By name why a model can not run there, and nothing where it can."""
    warm: Sequence[str] = ()
    """Models whose programs wait loaded."""
    gpus: Sequence[Mapping[str, Any]] = ()
    """What it knows of each of its GPUs."""
    programs: Mapping[str, str] = field(default_factory=dict[str, str])
    """By deterministic model what its program is there, and nothing where nobody can tell."""


def heartbeat(
    tx: Transaction,
    worker: WorkerRow,
    leases: Sequence[Lease],
    lease: timedelta,
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
    told |= {**asdict(worker.room), "models": dict(worker.models), "cards": [*worker.gpus]}
    told |= {"programs": dict(worker.programs)}
    known = sa.update(workers).where(workers.c.id == worker.id).values(told)
    row = tx.execute(known.returning(workers.c.draining)).one_or_none()
    if row is not None:
        return row.draining
    new: dict[str, Any] = {"id": worker.id, "name": worker.name, "started_at": tx.now}
    new |= {"sandbox": dict(worker.sandbox), "holds_session": worker.holds_session}
    new |= {"queues": list(worker.queues)}
    tx.execute(sa.insert(workers), new | told)
    return False


def forget_worker(tx: Transaction, worker_id: str) -> None:
    tx.execute(sa.delete(workers).where(workers.c.id == worker_id))


@dataclass(frozen=True, slots=True)
class Step:
    """How far an attempt is, and all that its program has told of it."""

    lease: Lease
    progress: float
    stage: str | None
    metrics: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class Chunk:
    """Output of a running attempt, from its byte ``start`` on."""

    lease: Lease
    start: int
    data: bytes


def record_steps(tx: Transaction, steps: Sequence[Step], announce: Announce) -> None:
    """Writes progress where the lease stands, with its event; of several steps of a job the last.

    However many jobs, it is a handful of statements.
    """
    newest = {step.lease: step for step in steps}
    rows = _standing(tx, newest)
    told = [(rows[lease], step) for lease, step in newest.items() if lease in rows]
    told.sort(key=lambda pair: pair[0].id)
    _STEP.run_many(
        tx,
        [
            {"job": row.id, "fraction": step.progress, "now_at": step.stage}
            | {"told": dict(step.metrics) or None}
            for row, step in told
        ],
    )
    append(tx, [_progressed(row, step) for row, step in told], announce)


def _progressed(row: Any, step: Step) -> NewEvent:
    """With the metrics that differ from those of the event before."""
    data: dict[str, Any] = {"progress": step.progress, "stage": step.stage}
    known: Mapping[str, Value] = row.metrics or {}
    news = {name: value for name, value in step.metrics.items() if known.get(name) != value}
    if news:
        data["metrics"] = news
    return NewEvent(row.organization_id, row.id, row.last_seq + 1, "job.progress", data)


def append_log(tx: Transaction, chunks: Sequence[Chunk]) -> None:
    """Adds output to the logs of running attempts whose leases stand."""
    rows = _standing(tx, {chunk.lease for chunk in chunks})
    kept = [
        {"job_id": c.lease.job_id, "attempt": c.lease.attempt}
        | {"start_byte": c.start, "data": c.data}
        for c in chunks
        if c.lease in rows
    ]
    if kept:
        _CHUNK.run_many(tx, kept)


def _standing(tx: Transaction, leases: Collection[Lease]) -> dict[Lease, Any]:
    """The rows that are still held under the leases, locked."""
    rows = _HELD.all(tx, {"job_ids": sorted({lease.job_id for lease in leases})})
    found = {Lease(row.id, row.attempt, row.lease_token): row for row in rows}
    return {lease: row for lease, row in found.items() if lease in leases}


def release(tx: Transaction, leases: Sequence[Lease], announce: Announce) -> None:
    """Puts back jobs that were claimed and never begun: the same attempt, queued again.

    Those whose cancellation was asked for meanwhile stay; ``hand_back`` ends them.
    """
    events: list[NewEvent] = []
    ready: list[Lane] = []
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
            .returning(jobs.c.queue, jobs.c.organization_id, jobs.c.last_seq)
        ).one_or_none()
        if row is not None:
            ready.append(Lane(row.queue, row.organization_id))
            events.append(
                NewEvent(row.organization_id, lease.job_id, row.last_seq, "job.queued", {})
            )
    append(tx, events, announce)
    count(tx, Moves.of(ready=ready))


_HELD: Final = Prepared(
    sa.select(
        *(jobs.c.id, jobs.c.organization_id, jobs.c.attempt, jobs.c.lease_token, jobs.c.last_seq),
        jobs.c.metrics,
    )
    .where(among(jobs.c.id, "job_ids"), RUNNING)
    .order_by(jobs.c.id)
    .with_for_update()
)
_STEP: Final = Prepared(
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job"))
    .values(
        progress=sa.bindparam("fraction"),
        stage=sa.bindparam("now_at"),
        metrics=sa.bindparam("told"),
        last_seq=jobs.c.last_seq + 1,
    )
)
_CHUNK: Final = Prepared(sa.insert(job_logs), ("job_id", "attempt", "start_byte", "data"))
