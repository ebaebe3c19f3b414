"""Accepting jobs: rows, inputs, labels and the first event, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import sqlalchemy as sa

from usina.kernel.db.prepared import Prepared
from usina.kernel.db.schema import moment
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import Announce, NewEvent, append
from usina.kernel.failpoints import reach
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store import lane
from usina.kernel.jobs.store.lane import Lane, Moves
from usina.kernel.jobs.store.query import first_places
from usina.kernel.jobs.store.worker import Fleet
from usina.kernel.jobs.table import job_inputs, job_labels, jobs


@dataclass(frozen=True, slots=True)
class InputRef:
    """One resolved input of a job."""

    name: str
    place: int
    source: Literal["file", "artifact"]
    source_id: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """A validated submit: parameters with defaults, inputs resolved."""

    organization_id: str
    model: str
    model_version: str
    queue: str
    needs: Room
    params: dict[str, Any]
    inputs: dict[str, str | list[str]]
    references: tuple[InputRef, ...]
    labels: Mapping[str, str]
    priority: int
    max_attempts: int
    timeout_seconds: float
    strict: bool = False
    reuse: bool = False
    callback_url: str | None = None


def insert_jobs(
    tx: Transaction, new: Sequence[NewJob], announce: Announce, known: Fleet | None = None
) -> list[Job]:
    """Stores the jobs as QUEUED with their first event and returns them in the same order.

    Why each of them waits follows from the workers that are ``known``.
    """
    reach("submit.before_insert")
    ids = {new_id(): item for item in new}
    _INSERT.run_many(tx, [_row(tx, job_id, item) for job_id, item in ids.items()])
    _insert_details(tx, ids)
    queued = [NewEvent(item.organization_id, id_, 1, "job.queued", {}) for id_, item in ids.items()]
    append(tx, queued, announce)
    ready = lane.count(tx, Moves.of(ready=[Lane(n.queue, n.organization_id) for n in new]))
    reach("submit.after_insert")
    accepted = [_job(tx, job_id, item, known) for job_id, item in ids.items()]
    places = first_places(tx, accepted, ready)
    return [replace(job, queue_position=places.get(job.id)) for job in accepted]


def _job(tx: Transaction, job_id: str, new: NewJob, known: Fleet | None) -> Job:
    return Job(
        id=job_id,
        organization_id=new.organization_id,
        model=new.model,
        model_version=new.model_version,
        queue=new.queue,
        status=Status.QUEUED,
        progress=0.0,
        stage=None,
        params=new.params,
        inputs=new.inputs,
        labels=dict(new.labels),
        priority=new.priority,
        attempt=1,
        max_attempts=new.max_attempts,
        timeout_seconds=new.timeout_seconds,
        created_at=tx.now,
        available_at=None,
        started_at=None,
        finished_at=None,
        cancel_requested_at=None,
        error=None,
        peak_memory_bytes=None,
        peak_gpu_memory_bytes=None,
        sandbox=None,
        last_seq=1,
        strict=new.strict,
        reuse=new.reuse,
        needs=new.needs,
        waiting_reason=known.why_waits(new.queue, new.model, new.needs) if known else "slot",
    )


def _row(tx: Transaction, job_id: str, new: NewJob) -> dict[str, Any]:
    return {
        "id": job_id,
        "organization_id": new.organization_id,
        "model": new.model,
        "model_version": new.model_version,
        "queue": new.queue,
        "slots": new.needs.slots,
        "memory_bytes": new.needs.memory_bytes,
        "gpus": new.needs.gpus,
        "gpu_memory_bytes": new.needs.gpu_memory_bytes,
        "status": "QUEUED",
        "progress": 0.0,
        "params": new.params,
        "inputs": new.inputs,
        "labels": dict(new.labels),
        "priority": new.priority,
        "attempt": 1,
        "max_attempts": new.max_attempts,
        "lost": 0,
        "timeout_seconds": new.timeout_seconds,
        "known_now": tx.known_now,
        "last_seq": 1,
        "strict": new.strict,
        "reuse": new.reuse,
        "callback_url": new.callback_url,
    }


def _insert_details(tx: Transaction, new: Mapping[str, NewJob]) -> None:
    inputs = [
        {"job_id": job_id, "name": r.name, "place": r.place}
        | {"source": r.source, "source_id": r.source_id}
        for job_id, item in new.items()
        for r in item.references
    ]
    if inputs:
        tx.execute(sa.insert(job_inputs), inputs)
    labels = [
        {"job_id": job_id, "key": key, "value": value, "organization_id": item.organization_id}
        for job_id, item in new.items()
        for key, value in item.labels.items()
    ]
    if labels:
        tx.execute(sa.insert(job_labels), labels)


_INSERT: Final = Prepared(
    sa.insert(jobs).values(created_at=moment("known_now")),
    (
        *("id", "organization_id", "model", "model_version", "queue", "status"),
        *("slots", "memory_bytes", "gpus", "gpu_memory_bytes"),
        *("progress", "params", "inputs", "labels", "priority", "attempt", "max_attempts"),
        *("lost", "timeout_seconds", "last_seq", "strict", "reuse", "callback_url"),
    ),
)
