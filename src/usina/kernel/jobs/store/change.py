"""What a caller does to a job: cancel, reopen, delete."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from usina.kernel.artifacts.store import forget_jobs as forget_artifacts
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.events.log import Announce, NewEvent, append
from usina.kernel.events.log import forget_jobs as forget_events
from usina.kernel.events.month import Month
from usina.kernel.jobs.state import JobError, Status
from usina.kernel.jobs.store.lane import Lane, Moves, count
from usina.kernel.jobs.table import checkpoints, job_inputs, job_labels, job_logs, jobs
from usina.kernel.tenancy.caller import owned_by


def cancel(tx: Transaction, organization_id: str, job_id: str, announce: Announce) -> Status:
    """Cancels a queued job at once, asks for it on a running one, leaves an ended one alone.

    Returns the state that the job was in.
    """
    row = _locked(tx, organization_id, job_id)
    status = Status(row.status)
    if status is Status.QUEUED:
        error = JobError.of("cancelled", None, "The job was cancelled before it began.").as_json()
        _change(
            tx,
            row,
            status="CANCELLED",
            cancel_requested_at=tx.now,
            finished_at=tx.now,
            available_at=None,
            error=error,
        )
        data: dict[str, Any] = {"status": "CANCELLED", "error": error}
        cancelled = replace(_event(row, "job.cancelled", data), callback_url=row.callback_url)
        append(tx, [cancelled], announce)
        gone = [Lane(row.queue, organization_id)]
        ready = row.available_at is None
        count(tx, Moves.of(not_ready=gone) if ready else Moves.of(not_delayed=gone))
    elif status is Status.RUNNING and row.cancel_requested_at is None:
        _change(tx, row, cancel_requested_at=tx.now)
        append(tx, [_event(row, "job.cancelling", {})], announce)
    return status


def reopen(tx: Transaction, organization_id: str, job_id: str, announce: Announce) -> str:
    """Queues a failed or cancelled job for one more attempt; returns its queue."""
    row = _locked(tx, organization_id, job_id)
    if row.status not in {"FAILED", "CANCELLED"}:
        raise Conflict(
            f"The job is {row.status}; only a FAILED or CANCELLED one can be retried.",
            code="job_not_retryable",
        )
    attempt = row.attempt + 1
    _change(
        tx,
        row,
        status="QUEUED",
        attempt=attempt,
        max_attempts=max(row.max_attempts, attempt),
        lost=0,
        progress=0.0,
        stage=None,
        error=None,
        gates=None,
        metrics=None,
        available_at=None,
        finished_at=None,
        cancel_requested_at=None,
    )
    data = {"attempt": attempt, "error": row.error, "delay_seconds": 0.0}
    append(tx, [_event(row, "job.retrying", data)], announce)
    count(tx, Moves.of(ready=[Lane(row.queue, organization_id)]))
    return row.queue


def delete(tx: Transaction, organization_id: str, job_id: str) -> None:
    """Deletes an ended job with all that hangs on it; its objects are the caller's to delete."""
    row = _locked(tx, organization_id, job_id)
    if not Status(row.status).terminal:
        raise Conflict(
            f"The job is {row.status}; cancel it first, then delete it.", code="job_not_terminal"
        )
    erase(tx, [job_id])


def erase(tx: Transaction, job_ids: Sequence[str], dropped: Sequence[Month] = ()) -> None:
    """Removes every row of the jobs; but events in the months that are ``dropped`` go with them."""
    for table in (job_inputs, job_labels, job_logs, checkpoints):
        tx.execute(sa.delete(table).where(table.c.job_id.in_(job_ids)))
    forget_artifacts(tx, job_ids)
    forget_events(tx, [each for each in job_ids if Month.of_id(each) not in dropped])
    tx.execute(sa.delete(jobs).where(jobs.c.id.in_(job_ids)))


def _locked(tx: Transaction, organization_id: str, job_id: str) -> sa.Row[Any]:
    query = sa.select(jobs).where(jobs.c.id == job_id, owned_by(organization_id, jobs))
    row = tx.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    return row


def _change(tx: Transaction, row: sa.Row[Any], **values: Any) -> None:
    values["last_seq"] = row.last_seq + 1
    tx.execute(sa.update(jobs).where(jobs.c.id == row.id).values(values))


def _event(row: sa.Row[Any], kind: str, data: dict[str, Any]) -> NewEvent:
    return NewEvent(row.organization_id, row.id, row.last_seq + 1, kind, data)
