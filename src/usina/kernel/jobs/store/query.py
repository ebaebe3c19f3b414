"""Reading jobs: one, a page, their places in the queue and why they wait."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from usina.kernel.artifacts.store import of_jobs
from usina.kernel.db.prepared import Prepared, among
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.schedule.store import scheduled_inputs
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store.queue import paused
from usina.kernel.jobs.store.row import job_of
from usina.kernel.jobs.store.worker import served_queues
from usina.kernel.jobs.table import DELAYED, READY, job_inputs, job_labels, jobs
from usina.kernel.tenancy.caller import owned_by

_FARTHEST_PLACE: Final = 1000


_FIND: Final = Prepared(
    sa.select(jobs).where(among(jobs.c.id, "jobs"), owned_by(sa.bindparam("owner"), jobs))
)


_LANE: Final = sa.select(jobs.c.id).where(
    jobs.c.queue == sa.bindparam("the_queue"), owned_by(sa.bindparam("owner"), jobs)
)
_READY_IDS: Final = Prepared(
    _LANE.where(READY).order_by(jobs.c.priority.desc(), jobs.c.id).limit(_FARTHEST_PLACE)
)
_DELAYED_IDS: Final = Prepared(
    _LANE.where(DELAYED).order_by(jobs.c.available_at, jobs.c.id).limit(_FARTHEST_PLACE)
)


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What a list is narrowed to; empty means everything."""

    statuses: tuple[Status, ...] = ()
    model: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    created_after: datetime | None = None


def find(tx: Transaction, organization_id: str, job_id: str, alive: timedelta) -> Job | None:
    """The job whole, if it is this organization's."""
    return find_many(tx, organization_id, [job_id], alive).get(job_id)


def find_many(
    tx: Transaction, organization_id: str, job_ids: Sequence[str], alive: timedelta
) -> dict[str, Job]:
    """Those of the jobs that are this organization's, whole, by their ids."""
    rows = _FIND.all(tx, {"jobs": list(job_ids), "owner": organization_id})
    return {job.id: job for job in completed(tx, [job_of(row) for row in rows], alive)}


def page(
    tx: Transaction,
    organization_id: str,
    wanted: JobFilter,
    after: str | None,
    limit: int,
    alive: timedelta,
) -> list[Job]:
    """At most ``limit`` jobs older than ``after``, newest first."""
    query = sa.select(jobs).where(owned_by(organization_id, jobs))
    if after is not None:
        query = query.where(jobs.c.id < after)
    if wanted.statuses:
        query = query.where(jobs.c.status.in_([status.value for status in wanted.statuses]))
    if wanted.model is not None:
        query = query.where(jobs.c.model == wanted.model)
    if wanted.created_after is not None:
        query = query.where(jobs.c.created_at > wanted.created_after)
    for key, value in wanted.labels.items():
        labelled = sa.select(job_labels.c.job_id).where(
            owned_by(organization_id, job_labels),
            job_labels.c.key == key,
            job_labels.c.value == value,
        )
        query = query.where(jobs.c.id.in_(labelled))
    rows = tx.execute(query.order_by(jobs.c.id.desc()).limit(limit))
    return completed(tx, [job_of(row) for row in rows], alive)


def completed(tx: Transaction, found: Sequence[Job], alive: timedelta) -> list[Job]:
    """Adds artifacts, places and waiting reasons."""
    artifacts = of_jobs(tx, [job.id for job in found])
    queued = [job for job in found if job.status is Status.QUEUED]
    places = positions(tx, queued) if queued else {}
    reasons = _waiting_reasons(tx, queued, alive) if queued else {}
    return [
        replace(
            job,
            artifacts=artifacts.get(job.id, ()),
            queue_position=places.get(job.id),
            waiting_reason=reasons.get(job.id),
        )
        for job in found
    ]


def positions(tx: Transaction, queued: Iterable[Job]) -> dict[str, int]:
    """Places from 1 in each job's lane, the ready ones first; none beyond 1 000."""
    places: dict[str, int] = {}
    for queue, organization_id in {(job.queue, job.organization_id) for job in queued}:
        lane = {"the_queue": queue, "owner": organization_id}
        rows = _READY_IDS.all(tx, lane)
        if len(rows) < _FARTHEST_PLACE:
            rows += _DELAYED_IDS.all(tx, lane)
        places.update((row.id, place) for place, row in enumerate(rows[:_FARTHEST_PLACE], 1))
    return places


def _waiting_reasons(tx: Transaction, queued: Sequence[Job], alive: timedelta) -> dict[str, str]:
    """The first that holds of what keeps each job from running."""
    closed, served = paused(tx), served_queues(tx, alive)

    def reason(job: Job) -> str:
        if job.queue in closed:
            return "queue_paused"
        if job.available_at is not None and job.available_at > tx.now:
            return "retry_delay"
        return "slot" if job.queue in served else "no_worker"

    return {job.id: reason(job) for job in queued}


def file_in_use(tx: Transaction, file_id: str) -> bool:
    """Whether an unfinished job reads the file."""
    query = (
        sa.select(job_inputs.c.job_id)
        .join(jobs, jobs.c.id == job_inputs.c.job_id)
        .where(job_inputs.c.source_id == file_id, jobs.c.status.in_(["QUEUED", "RUNNING"]))
    )
    return tx.execute(query.limit(1)).first() is not None


def files_in_jobs(tx: Transaction, file_ids: Sequence[str]) -> set[str]:
    """Those of the files that any job names, finished or not, or a schedule for its next one."""
    query = sa.select(job_inputs.c.source_id).where(job_inputs.c.source_id.in_(file_ids))
    return set(tx.execute(query).scalars()) | (scheduled_inputs(tx) & set(file_ids))
