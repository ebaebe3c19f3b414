"""Claiming: which jobs a worker runs next.

The lane (queue, organization) served least lately comes first, in it the highest priority, then
the oldest job; among those of one priority that came within a few seconds of each other, one whose
program is warm comes first. Several jobs are taken in one go, one from each lane in turn.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.prepared import Prepared, among
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import Announce, NewEvent, append
from usina.kernel.failpoints import reach
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.store.row import job_of
from usina.kernel.jobs.table import DELAYED, QUEUED, READY, jobs, lanes, queues

_TIE: Final = timedelta(seconds=5)
"""Jobs that came so close to each other count as equally old."""

_LOOK_AHEAD: Final = 32
_SOON: Final = timedelta(milliseconds=20)


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
    ``warm`` names what waits loaded there: models with the organization that they may serve, null
    for any.
    """

    worker_id: str
    queues: Sequence[str]
    free: int
    capacity: int
    most: int
    small: Collection[str]
    lease: timedelta
    warm: Collection[tuple[str, str | None]] = frozenset()


@dataclass(frozen=True, slots=True)
class Claims:
    """What was taken. ``exhausted`` when nothing else can be claimed now; ``next_due`` is when that
    may change without a word: the next delayed job, or one that another claim looks at."""

    taken: list[Claimed]
    exhausted: bool
    next_due: datetime | None


def claim(tx: Transaction, request: ClaimRequest, announce: Announce) -> Claims:
    """Takes the next jobs of the queues and starts their attempt: RUNNING, leased, announced."""
    _PROMOTE_DUE.run(tx, {"now": tx.now})
    candidates = _candidates(tx, request)
    chosen = _choose(request, candidates)
    taken = _take(tx, request, chosen, announce) if chosen else []
    if not len(chosen) == len(candidates) < request.most:
        return Claims(taken, exhausted=False, next_due=None)
    if _others_hold_some(tx, request):
        return Claims(taken, exhausted=False, next_due=tx.now + _SOON)
    return Claims(taken, exhausted=True, next_due=_NEXT_DUE.all(tx)[0].due)


def _others_hold_some(tx: Transaction, request: ClaimRequest) -> bool:
    """Whether claims that are under way elsewhere look at jobs that they may leave."""
    if tx.connection.dialect.name == "sqlite":
        return False
    return bool(_LANES_WITH_WORK.all(tx, {"queues": list(request.queues), "most": 1}))


def _take(
    tx: Transaction, request: ClaimRequest, chosen: Sequence["_Candidate"], announce: Announce
) -> list[Claimed]:
    token = new_id()
    values = {
        "job_ids": [c.id for c in chosen],
        "now": tx.now,
        "new_worker": request.worker_id,
        "token": token,
        "expires": tx.now + request.lease,
    }
    order = {c.id: place for place, c in enumerate(chosen)}
    rows = sorted(_START.all(tx, values), key=lambda row: order[row.id])
    taken = [Claimed(job_of(row), Lease(row.id, row.attempt, token), row.slots) for row in rows]
    lanes_served = {(c.job.queue, c.job.organization_id) for c in taken}
    _MARK_SERVED.run_many(
        tx, [{"the_queue": q, "owner": o, "now": tx.now} for q, o in sorted(lanes_served)]
    )
    append(tx, [_running(c.job) for c in taken], announce)
    reach("claim.in_transaction")
    return taken


@dataclass(frozen=True, slots=True)
class _Candidate:
    id: str
    model: str
    slots: int


def _candidates(tx: Transaction, request: ClaimRequest) -> list[_Candidate]:
    """The best jobs of the lanes with work, one of each lane in turn."""
    most = {"most": request.most}
    with_work = _LANES_WITH_WORK.all(tx, {"queues": list(request.queues), **most})
    by_lane = [_best_of(tx, request, lane) for lane in with_work]
    turns = chain.from_iterable(zip_longest(*by_lane))
    return [c for c in turns if c is not None][: request.most]


def _best_of(tx: Transaction, request: ClaimRequest, lane: Any) -> list[_Candidate]:
    """The best of one lane; a cold one lets a warm one pass that came just after it."""
    which = {"the_queue": lane.the_queue, "owner": lane.owner}
    rows = _BEST_OF_LANE.all(tx, which | {"most": request.most})
    warm = {model for model, owner in request.warm if owner in (None, lane.owner)}
    if warm and any(row.model not in warm for row in rows):
        rows = _BEST_OF_LANE.all(tx, which | {"most": request.most + _LOOK_AHEAD})
        rows = _warm_first(rows, warm)[: request.most]
    return [_Candidate(row.id, row.model, row.slots) for row in rows]


def _warm_first(rows: Sequence[Any], warm: Collection[str]) -> list[Any]:
    best = rows[0]
    latest = best.created_at + _TIE
    tied = [row for row in rows if row.priority == best.priority and row.created_at <= latest]
    first = sorted(tied, key=lambda row: row.model not in warm)
    return [*first, *(row for row in rows if row not in tied)]


def _choose(request: ClaimRequest, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """As many as the free slots hold; more only while all of them are small."""
    chosen: list[_Candidate] = []
    free, all_small = request.free, True
    for candidate in candidates:
        all_small = all_small and candidate.model in request.small
        fits = candidate.slots <= free or free == request.capacity
        if not (fits or all_small):
            break
        chosen.append(candidate)
        free = max(0, free - candidate.slots)
    return chosen


def _running(job: Job) -> NewEvent:
    data = {"attempt": job.attempt}
    return NewEvent(job.organization_id, job.id, job.last_seq, "job.running", data)


_NOW: Final = sa.bindparam("now", type_=jobs.c.available_at.type)
_DUE: Final = (
    sa.select(jobs.c.id)
    .where(DELAYED, jobs.c.available_at <= _NOW)
    .with_for_update(skip_locked=True)
)
_PROMOTE_DUE: Final = Prepared(
    sa.update(jobs).where(jobs.c.id.in_(_DUE), QUEUED).values(available_at=None)
)
_NEXT_DUE: Final = Prepared(sa.select(sa.func.min(jobs.c.available_at).label("due")).where(DELAYED))
_LANES_WITH_WORK: Final = Prepared(
    sa.select(lanes.c.queue.label("the_queue"), lanes.c.organization_id.label("owner"))
    .where(
        among(lanes.c.queue, "queues"),
        sa.exists().where(
            jobs.c.queue == lanes.c.queue,
            jobs.c.organization_id == lanes.c.organization_id,
            READY,
        ),
        ~sa.exists().where(queues.c.name == lanes.c.queue, queues.c.paused),
    )
    .order_by(lanes.c.served_at.nulls_first(), lanes.c.organization_id, lanes.c.queue)
    .limit(sa.bindparam("most"))
)
_BEST_OF_LANE: Final = Prepared(
    sa.select(jobs.c.id, jobs.c.model, jobs.c.slots, jobs.c.priority, jobs.c.created_at)
    .where(
        jobs.c.queue == sa.bindparam("the_queue"),
        jobs.c.organization_id == sa.bindparam("owner"),
        READY,
    )
    .order_by(jobs.c.priority.desc(), jobs.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_START: Final = Prepared(
    sa.update(jobs)
    .where(among(jobs.c.id, "job_ids"), QUEUED)
    .values(
        status="RUNNING",
        started_at=_NOW,
        finished_at=None,
        available_at=None,
        progress=0.0,
        stage=None,
        error=None,
        peak_memory_bytes=None,
        gates=None,
        sandbox=None,
        worker_id=sa.bindparam("new_worker"),
        lease_token=sa.bindparam("token"),
        lease_expires_at=sa.bindparam("expires", type_=jobs.c.lease_expires_at.type),
        last_seq=jobs.c.last_seq + 1,
    )
    .returning(*jobs.c)
)
_MARK_SERVED: Final = Prepared(
    sa.update(lanes)
    .where(
        lanes.c.queue == sa.bindparam("the_queue"),
        lanes.c.organization_id == sa.bindparam("owner"),
    )
    .values(served_at=_NOW)
)
