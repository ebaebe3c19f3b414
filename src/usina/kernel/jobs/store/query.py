"""Reading jobs: one, a page, their places in the queue and why they wait."""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.store import artifact_in, of_jobs, with_artifacts
from usina.kernel.db.prepared import Prepared, among
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.schedule.store import scheduled_inputs
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store.lane import Lane
from usina.kernel.jobs.store.row import job_of
from usina.kernel.jobs.store.worker import fleet
from usina.kernel.jobs.table import DELAYED, READY, job_inputs, job_labels, jobs
from usina.kernel.tenancy.caller import owned_by

_FARTHEST_PLACE: Final = 1000


_FIND: Final = Prepared(
    with_artifacts(
        sa.select(jobs).where(among(jobs.c.id, "jobs"), owned_by(sa.bindparam("owner"), jobs)),
        jobs.c.id,
    )
)


_LANE: Final = sa.select(jobs.c.id).where(
    jobs.c.queue == sa.bindparam("the_queue"), owned_by(sa.bindparam("owner"), jobs)
)
_LINE: Final = _LANE.where(READY).order_by(jobs.c.priority.desc(), jobs.c.id).limit(_FARTHEST_PLACE)
"""Its order is told even where it is only counted: so no engine takes another index than that."""
_READY_IDS: Final = Prepared(_LINE)
_DELAYED_IDS: Final = Prepared(
    _LANE.where(DELAYED).order_by(jobs.c.available_at, jobs.c.id).limit(_FARTHEST_PLACE)
)


def _counted(*lines: sa.ColumnElement[bool]) -> Prepared:
    """How many ready jobs of the lane stand in one of the lines, as far as places go."""
    looks = [
        sa.select(_LINE.where(line).subquery(f"line_{place}")) for place, line in enumerate(lines)
    ]
    found = sa.union_all(*looks).limit(_FARTHEST_PLACE).subquery("found")
    return Prepared(sa.select(sa.func.count().label("found")).select_from(found))


_PRIORITY: Final = sa.bindparam("priority", type_=jobs.c.priority.type)
_JOB: Final = sa.bindparam("job", type_=jobs.c.id.type)
_SAME: Final = jobs.c.priority == _PRIORITY
_BEHIND: Final = _counted(jobs.c.priority < _PRIORITY, sa.and_(_SAME, jobs.c.id > _JOB))
_AHEAD: Final = _counted(jobs.c.priority > _PRIORITY, sa.and_(_SAME, jobs.c.id < _JOB))


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
    found: dict[str, Job] = {}
    made: dict[str, list[Artifact]] = {}
    for row in _FIND.all(tx, {"jobs": list(job_ids), "owner": organization_id}):
        if row.id not in found:
            found[row.id], made[row.id] = job_of(row), []
        if (artifact := artifact_in(row)) is not None:
            made[row.id].append(artifact)
    return {job.id: job for job in _completed(tx, [*found.values()], made, alive)}


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
    found = [job_of(row) for row in rows]
    return _completed(tx, found, of_jobs(tx, [job.id for job in found]), alive)


def _completed(
    tx: Transaction,
    found: Sequence[Job],
    artifacts: Mapping[str, Sequence[Artifact]],
    alive: timedelta,
) -> list[Job]:
    """Adds artifacts, places and waiting reasons."""
    queued = [job for job in found if job.status is Status.QUEUED]
    places = positions(tx, queued) if queued else {}
    reasons = _waiting_reasons(tx, queued, alive) if queued else {}
    return [
        replace(
            job,
            artifacts=tuple(artifacts.get(job.id, ())),
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


def first_places(
    tx: Transaction, accepted: Sequence[Job], ready: Mapping[Lane, int]
) -> dict[str, int]:
    """The places of jobs that were just made ready, as :func:`positions` would give them.

    ``ready`` counts their lanes, so only who stands behind is looked for: nobody, as a rule.
    """
    here = Tally(Lane(job.queue, job.organization_id) for job in accepted)
    if all(ready[one] == count for one, count in here.items()):
        return _places_alone(accepted)
    places: dict[str, int] = {}
    next_places: dict[tuple[Lane, int], int] = {}
    for job in sorted(accepted, key=lambda job: job.id, reverse=True):
        line = Lane(job.queue, job.organization_id), job.priority
        if line not in next_places:
            next_places[line] = _last_place(tx, job, ready[line[0]])
        if 0 < next_places[line] <= _FARTHEST_PLACE:
            places[job.id] = next_places[line]
        next_places[line] -= 1
    return places


def _places_alone(accepted: Sequence[Job]) -> dict[str, int]:
    """The same where nobody else stands in their lanes."""
    places: dict[str, int] = {}
    last: Tally[Lane] = Tally()
    for job in sorted(accepted, key=lambda job: (-job.priority, job.id)):
        one = Lane(job.queue, job.organization_id)
        last[one] += 1
        if last[one] <= _FARTHEST_PLACE:
            places[job.id] = last[one]
    return places


def _last_place(tx: Transaction, job: Job, ready: int) -> int:
    """The place of a job of which those behind it are counted, or, where they are many, those
    ahead; the farthest and more is one."""
    values = {"the_queue": job.queue, "owner": job.organization_id}
    values |= {"priority": job.priority, "job": job.id}
    behind = _BEHIND.all(tx, values)[0].found
    if behind < _FARTHEST_PLACE:
        return ready - behind
    return 1 + _AHEAD.all(tx, values)[0].found


def _waiting_reasons(tx: Transaction, queued: Sequence[Job], alive: timedelta) -> dict[str, str]:
    """The first that holds of what keeps each job from running."""
    now = fleet(tx, alive)

    def reason(job: Job) -> str:
        if job.queue in now.paused:
            return "queue_paused"
        if job.available_at is not None and job.available_at > tx.now:
            return "retry_delay"
        return now.why_waits(job.queue, job.model, job.needs)

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
