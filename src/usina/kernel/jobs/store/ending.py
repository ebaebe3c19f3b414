"""Ending attempts: success, failure, another attempt, cancellation, a lost worker.

Whatever ends an attempt is first a verdict on its row and then one set of writes, so that states,
events and artifacts can not drift apart.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.store import describe, insert_artifacts, of_jobs
from usina.kernel.db.prepared import Prepared, among
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import Announce, NewEvent, append
from usina.kernel.failpoints import reach
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import MAX_LOST, ErrorCode, JobError, Status, retry_delay_seconds
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.jobs.store.lane import Lane, Moves, count
from usina.kernel.jobs.store.row import job_of
from usina.kernel.jobs.table import RUNNING, job_logs, jobs, workers
from usina.kernel.runners.gate import Gate, Value
from usina.kernel.runners.gpu_failure import OUT_OF_GPU

Settle = Callable[[Job], None]
"""Told of every job that ended, on the event loop, after the commit."""

_SEEN: Final = timedelta(minutes=2)
"""Workers that were heard of so lately may have a larger GPU."""

_JITTER: Final = random.Random()  # noqa: S311  # spreads retries, guards nothing


@dataclass(frozen=True, slots=True)
class Ending:
    """What a worker says of an attempt; ``error`` is null for a success."""

    lease: Lease
    error: JobError | None
    artifacts: tuple[Artifact, ...] = ()
    peak_memory_bytes: int | None = None
    peak_gpu_memory_bytes: int | None = None
    gpu_memory_bytes: int | None = None
    """Of the smallest GPU that it had, as far as that is known."""
    sandbox: Mapping[str, bool] | None = None
    stage: str | None = None
    gates: tuple[Gate, ...] = ()
    metrics: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """All that the program told; empty leaves what was written while it ran."""
    recipe: str | None = None
    """What a deterministic success follows from."""
    reused_from: str | None = None
    log_kept: bool = True
    """The log is among the artifacts (or empty), so its chunk rows may go."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state that an attempt's row goes to."""

    status: Status
    error: JobError | None
    charged: bool = True
    delay_seconds: float = 0.0
    gpu_memory_bytes: int = 0
    """What a GPU has to have for the next attempt, where the last one had too little."""


@dataclass(frozen=True, slots=True)
class _Ended:
    row: sa.Row[Any]
    verdict: Verdict
    ending: Ending | None


def finish(
    tx: Transaction,
    endings: Sequence[Ending],
    retry_seconds: float,
    announce: Announce,
    settle: Settle | None = None,
) -> list[Status | None]:
    """Ends the attempts whose leases still stand; answers each job's new state, or null for one
    that the worker had lost: nothing of it was written."""
    reach("finish.before_transaction")
    rows = locked(tx, [ending.lease.job_id for ending in endings])
    ended: list[_Ended] = []
    states: list[Status | None] = []
    for ending in endings:
        row = rows.get(ending.lease.job_id)
        if row is None or not _stands(row, ending.lease):
            states.append(None)
            continue
        verdict = _judge(row, _elsewhere(tx, row, ending), retry_seconds)
        verdict = _larger(verdict, ending)
        ended.append(_Ended(row, verdict, _with_kept(ending, verdict.status)))
        states.append(verdict.status)
    _write(tx, ended, announce)
    if settle is not None:
        for over in ended:
            if over.verdict.status.terminal:
                _tell_settled(tx, over, settle)
    reach("finish.in_transaction")
    return states


def kept(status: Status, ending: Ending) -> tuple[Artifact, ...]:
    """What becomes of the staged files: a success keeps all of them, anything else the log. A
    cancel that came while they were stored has made none of an attempt that had succeeded."""
    if status is Status.SUCCEEDED:
        return ending.artifacts
    return tuple(artifact for artifact in ending.artifacts if artifact.kind == "log")


def _with_kept(ending: Ending, status: Status) -> Ending:
    if status is Status.SUCCEEDED:
        return ending
    return replace(ending, artifacts=kept(status, ending))


def _tell_settled(tx: Transaction, ended: _Ended, settle: Settle) -> None:
    """Hands the ended job to its waiters after the commit."""
    row, verdict, ending = ended.row, ended.verdict, ended.ending
    job = replace(
        job_of(row),
        status=verdict.status,
        progress=1.0 if verdict.status is Status.SUCCEEDED else row.progress,
        stage=ending.stage if ending else row.stage,
        reused_from=ending.reused_from if ending else None,
        finished_at=tx.now,
        error=verdict.error,
        peak_memory_bytes=ending.peak_memory_bytes if ending else None,
        peak_gpu_memory_bytes=ending.peak_gpu_memory_bytes if ending else None,
        gates=ending.gates if ending else (),
        metrics=_metrics(ended) or {},
        sandbox=_layers(ending),
        artifacts=(*of_jobs(tx, [row.id]).get(row.id, ()),)
        if row.attempt > 1
        else (ending.artifacts if ending else ()),
    )
    tx.after_commit(lambda: settle(job))


class Taken(NamedTuple):
    """A job that was taken back, and the state that it went to."""

    model: str
    queue: str
    status: Status


def hand_back(tx: Transaction, leases: Sequence[Lease], announce: Announce) -> list[Taken]:
    """Returns running jobs of a worker that stops; the caller is not charged the attempt."""
    rows = locked(tx, [lease.job_id for lease in leases])
    stopped = JobError.of(
        "worker_lost", "worker_stopped", "The worker was stopped; the job starts again.", True
    )
    ended = [
        _Ended(rows[lease.job_id], _returned(rows[lease.job_id], stopped), None)
        for lease in leases
        if lease.job_id in rows and _stands(rows[lease.job_id], lease)
    ]
    _write(tx, ended, announce)
    if ended:
        reach("handback.in_transaction")
    return _taken(ended)


def rescue(
    tx: Transaction, served: Sequence[str], announce: Announce, *, everything: bool = False
) -> list[Taken]:
    """Takes back jobs whose lease expired; with ``everything``, all that run (no worker lives).

    Jobs in ``served`` are held by this very process, which knows better than the clock.
    """
    query = sa.select(jobs).where(RUNNING, jobs.c.id.not_in(served))
    if not everything:
        query = query.where(jobs.c.lease_expires_at < tx.now)
    rows = tx.execute(query.order_by(jobs.c.id).limit(500).with_for_update(skip_locked=True)).all()
    ended = [_Ended(row, _lost(row), None) for row in rows]
    _write(tx, ended, announce)
    reach("rescue.in_transaction")
    return _taken(ended)


def _taken(ended: Sequence[_Ended]) -> list[Taken]:
    return [Taken(each.row.model, each.row.queue, each.verdict.status) for each in ended]


def locked(tx: Transaction, job_ids: Sequence[str]) -> dict[str, sa.Row[Any]]:
    """The rows by id, which nobody else changes before the end of the transaction."""
    return {row.id: row for row in _LOCK.all(tx, {"job_ids": list(job_ids)})}


def _stands(row: sa.Row[Any], lease: Lease) -> bool:
    """The fence."""
    return (
        row.status == "RUNNING" and row.attempt == lease.attempt and row.lease_token == lease.token
    )


def _judge(row: sa.Row[Any], error: JobError | None, retry_seconds: float) -> Verdict:
    if row.cancel_requested_at is not None:
        return _cancelled()
    if error is None:
        return Verdict(Status.SUCCEEDED, None)
    if error.code is ErrorCode.CANCELLED:
        return Verdict(Status.CANCELLED, error)
    if error.retryable and row.attempt < row.max_attempts:
        delay = retry_delay_seconds(row.attempt, retry_seconds, _JITTER)
        return Verdict(Status.QUEUED, error, delay_seconds=delay)
    return Verdict(Status.FAILED, error)


def _elsewhere(tx: Transaction, row: sa.Row[Any], ending: Ending) -> JobError | None:
    """The error; one for want of memory of a GPU is worth another attempt where some worker has a
    larger one, and only there."""
    error, size = ending.error, ending.gpu_memory_bytes
    if error is None or error.reason != OUT_OF_GPU or size is None:
        return error
    larger = sa.select(workers.c.id).where(
        workers.c.seen_at > tx.now - _SEEN,
        workers.c.gpus >= row.gpus,
        workers.c.gpu_memory_bytes > size,
    )
    return replace(error, retryable=tx.execute(larger.limit(1)).one_or_none() is not None)


def _larger(verdict: Verdict, ending: Ending) -> Verdict:
    error, size = ending.error, ending.gpu_memory_bytes
    if verdict.status is not Status.QUEUED or error is None or size is None:
        return verdict
    return replace(verdict, gpu_memory_bytes=size + 1) if error.reason == OUT_OF_GPU else verdict


def _lost(row: sa.Row[Any]) -> Verdict:
    error = JobError.of(
        "worker_lost", None, "The worker that ran the job was lost; the job starts again.", True
    )
    if row.lost < MAX_LOST:
        return _returned(row, error)
    if row.cancel_requested_at is not None:
        return _cancelled()
    message = f"The worker was lost {row.lost + 1} times while it ran this job."
    return Verdict(Status.FAILED, replace(error, message=message, retryable=False))


def _returned(row: sa.Row[Any], error: JobError) -> Verdict:
    if row.cancel_requested_at is not None:
        return _cancelled()
    return Verdict(Status.QUEUED, error, charged=False)


def _cancelled() -> Verdict:
    error = JobError.of("cancelled", None, "The job was cancelled on request.")
    return Verdict(Status.CANCELLED, error)


def _write(tx: Transaction, ended: Sequence[_Ended], announce: Announce) -> None:
    if not ended:
        return
    told = [_events(e) for e in ended]
    _UPDATE.run_many(
        tx, [_changes(tx, e, len(events)) for e, events in zip(ended, told, strict=True)]
    )
    insert_artifacts(tx, [a for e in ended if e.ending for a in e.ending.artifacts])
    kept = [e.row.id for e in ended if e.ending and e.ending.log_kept]
    if kept:
        tx.execute(sa.delete(job_logs).where(job_logs.c.job_id.in_(kept)))
    append(tx, [event for events in told for event in events], announce)
    _count_again(tx, [e for e in ended if e.verdict.status is Status.QUEUED])


def _count_again(tx: Transaction, again: Sequence[_Ended]) -> None:
    """Those that are queued once more."""
    ready: list[Lane] = []
    delayed: list[Lane] = []
    for each in again:
        at_once = _due(tx.now, each.verdict) is None
        (ready if at_once else delayed).append(Lane(each.row.queue, each.row.organization_id))
    count(tx, Moves.of(ready=ready, delayed=delayed))


_LOCK: Final = Prepared(
    sa.select(jobs).where(among(jobs.c.id, "job_ids")).order_by(jobs.c.id).with_for_update(),
    tells_now=True,
)
_CHANGED: Final = (
    "status",
    "progress",
    "stage",
    "attempt",
    "max_attempts",
    "lost",
    "available_at",
    "finished_at",
    "error",
    "peak_memory_bytes",
    "peak_gpu_memory_bytes",
    "gpu_memory_bytes",
    "sandbox",
    "last_seq",
    "gates",
    "metrics",
    "recipe",
    "reused_from",
)
_VALUES: Final[dict[str, Any]] = {
    **{name: sa.bindparam(f"new_{name}") for name in _CHANGED},
    **dict.fromkeys(("worker_id", "lease_token", "lease_expires_at")),
}
_UPDATE: Final = Prepared(
    sa.update(jobs).where(jobs.c.id == sa.bindparam("the_id")).values(_VALUES)
)


def _changes(tx: Transaction, ended: _Ended, events: int) -> dict[str, Any]:
    row, verdict, ending = ended.row, ended.verdict, ended.ending
    again = verdict.status is Status.QUEUED
    succeeded = verdict.status is Status.SUCCEEDED
    lost = again and not verdict.charged and verdict.error is not None
    counted = lost and verdict.error is not None and verdict.error.reason is None
    values: dict[str, Any] = {
        "status": verdict.status.value,
        "progress": 1.0 if verdict.status is Status.SUCCEEDED else row.progress,
        "stage": ending.stage if ending else row.stage,
        "attempt": row.attempt + again,
        "max_attempts": row.max_attempts + lost,
        "lost": row.lost + counted,
        "available_at": _due(tx.now, verdict),
        "finished_at": None if again else tx.now,
        "error": verdict.error.as_json() if verdict.error and not again else None,
        "peak_memory_bytes": ending.peak_memory_bytes if ending else None,
        "peak_gpu_memory_bytes": ending.peak_gpu_memory_bytes if ending else None,
        "gpu_memory_bytes": verdict.gpu_memory_bytes or row.gpu_memory_bytes,
        "sandbox": _layers(ending),
        "last_seq": row.last_seq + events,
        "gates": [gate.as_json() for gate in ending.gates] if ending and ending.gates else None,
        "metrics": _metrics(ended),
        "recipe": ending.recipe if ending and succeeded else None,
        "reused_from": ending.reused_from if ending and succeeded else None,
    }
    return {"the_id": row.id} | {f"new_{name}": value for name, value in values.items()}


def _metrics(ended: _Ended) -> Mapping[str, Value] | None:
    """What is known of the attempt, even of one that was lost."""
    if ended.ending is None or not ended.ending.metrics:
        return ended.row.metrics
    return dict(ended.ending.metrics)


def _layers(ending: Ending | None) -> dict[str, bool] | None:
    return None if ending is None or ending.sandbox is None else dict(ending.sandbox)


def _due(now: datetime, verdict: Verdict) -> datetime | None:
    """When a repeated job may be claimed; null is at once."""
    if verdict.delay_seconds <= 0:
        return None
    return now + timedelta(seconds=verdict.delay_seconds)


def _events(ended: _Ended) -> list[NewEvent]:
    row, verdict = ended.row, ended.verdict
    told: list[tuple[str, dict[str, Any]]] = [
        ("job.artifact", {"artifact": describe(artifact)})
        for artifact in (ended.ending.artifacts if ended.ending else ())
    ]
    error = verdict.error and verdict.error.as_json()
    if verdict.status is Status.QUEUED:
        again = {"attempt": row.attempt + 1, "error": error}
        told.append(("job.retrying", again | {"delay_seconds": verdict.delay_seconds}))
    else:
        ending = {"status": verdict.status.value, "error": error}
        told.append((f"job.{verdict.status.value.lower()}", ending))
    events = [
        NewEvent(row.organization_id, row.id, row.last_seq + place, kind, data)
        for place, (kind, data) in enumerate(told, 1)
    ]
    if verdict.status.terminal and row.callback_url is not None:
        events[-1] = replace(events[-1], callback_url=row.callback_url)
    return events
