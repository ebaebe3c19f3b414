"""Claiming: which jobs a worker runs next.

The lane (queue, organization) served least lately comes first, in it the best job of a model that
the worker can run. Several jobs are taken in one go, one from each lane in turn.
"""

from collections import Counter as Tally
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, zip_longest
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.prepared import Prepared, among
from usina.kernel.db.turn import take_turns, try_turn
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import Announce, NewEvent, append, turn_of
from usina.kernel.failpoints import reach
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store import lane
from usina.kernel.jobs.store.candidate import EVERY, Candidate, First, best_of, first_look
from usina.kernel.jobs.store.lane import Lane, Moves
from usina.kernel.jobs.store.row import job_of
from usina.kernel.jobs.table import DELAYED, QUEUED, jobs
from usina.kernel.jobs.usage import running_jobs

_LOOK_PAST: Final = 32
"""Lanes whose next job has to wait, past which a claim looks for others."""

_DUE_AT_ONCE: Final = 500
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
    needs: Room


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Jobs of the ``models`` for what is ``free``, or up to ``most`` where all are of the ``small``
    models. Those of other models are left to other workers, wherever in their lane they stand.

    A job that asks for more slots than the worker has at all (``capacity``) gets the whole worker;
    one that needs more memory or GPUs is left to another worker. ``warm`` names what waits loaded
    there: models with the organization that they may serve, null for any.
    """

    worker_id: str
    queues: Sequence[str]
    models: frozenset[str]
    free: Room
    capacity: Room
    most: int
    small: Collection[str]
    lease: timedelta
    warm: Collection[tuple[str, str | None]] = frozenset()
    running_jobs: Callable[[str], int | None] = lambda _: None
    """How many jobs an organization may have running at once, by its id; null for any number."""
    turns: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many more jobs of a model may begin there; of others any number."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What was taken. ``exhausted`` when nothing else can be claimed now; ``next_due`` is when that
    may change without a word: the next delayed job, or one that another claim looks at."""

    taken: list[Claimed]
    exhausted: bool
    next_due: datetime | None


def claim(tx: Transaction, request: ClaimRequest, announce: Announce) -> Claims:
    """Takes the next jobs of the queues and starts their attempt: RUNNING, leased, announced.

    Where delayed jobs are due, it makes them ready, and the next claim finds them.
    """
    first = first_look(tx, request, request.queues, request.most)
    if first.due is not None and first.due <= tx.now and _promote_due(tx):
        return Claims([], exhausted=False, next_due=tx.now)
    look = _Look(tx, request)
    look.around(first)
    taken, left = _take(tx, request, look.chosen, announce) if look.chosen else ([], {})
    if look.waiting or look.left_some or len(look.chosen) >= request.most:
        return Claims(taken, exhausted=False, next_due=None)
    asked = [one for one in look.found.keys() - look.at_quota if left.get(one) != 0]
    if _others_hold_some(tx, request, asked):
        return Claims(taken, exhausted=False, next_due=tx.now + _SOON)
    return Claims(taken, exhausted=True, next_due=first.due)


def _promote_due(tx: Transaction) -> bool:
    """Makes delayed jobs ready whose moment has come."""
    due = [Lane(*row) for row in _PROMOTE_DUE.all(tx, {"now": tx.now})]
    if due:
        take_turns(tx, {turn_of(one.organization_id) for one in due})
        lane.count(tx, Moves.of(ready=due, not_delayed=due))
    return bool(due)


def _others_hold_some(tx: Transaction, request: ClaimRequest, asked: Collection[Lane]) -> bool:
    """Whether claims that are under way elsewhere look at jobs that they may leave."""
    if tx.connection.dialect.name == "sqlite":
        return False
    return lane.have_ready(tx, asked, request.models, request.capacity)


def _take(
    tx: Transaction, request: ClaimRequest, chosen: Sequence[Candidate], announce: Announce
) -> tuple[list[Claimed], dict[Lane, int]]:
    """Those that were taken, and how many are left in their lanes."""
    rows = [candidate.row for candidate in chosen]
    begun = begin(tx, rows, request.worker_id, request.lease, announce)
    taken = [Claimed(*each, of.needs) for each, of in zip(begun, chosen, strict=True)]
    left = lane.serve(tx, Tally(Lane(c.job.queue, c.job.organization_id) for c in taken))
    reach("claim.in_transaction")
    return taken, left


def begin(
    tx: Transaction,
    rows: Sequence[Any],
    worker_id: str | None,
    lease: timedelta,
    announce: Announce,
) -> list[tuple[Job, Lease]]:
    """Starts attempts of queued jobs, whose rows are locked: RUNNING, leased, announced. Whoever
    does so takes them off their lanes."""
    token = new_id()
    values = {
        "job_ids": [row.id for row in rows],
        "now": tx.now,
        "new_worker": worker_id,
        "token": token,
        "expires": tx.now + lease,
    }
    _START.run(tx, values)
    begun = [(_begun(tx, row), Lease(row.id, row.attempt, token)) for row in rows]
    append(tx, [_running(job) for job, _ in begun], announce)
    return begun


def _begun(tx: Transaction, row: Any) -> Job:
    """The job of a row once its attempt has begun; nobody else changes the row meanwhile."""
    return job_of(row._replace(**_FRESH, started_at=tx.now, last_seq=row.last_seq + 1))


class _Look:
    """One look at the lanes: what was found in each, and what of it is chosen."""

    def __init__(self, tx: Transaction, request: ClaimRequest) -> None:
        self._tx = tx
        self._request = request
        self.found: dict[Lane, list[Candidate]] = {}
        self.chosen: list[Candidate] = []
        self.waiting: set[Lane] = set()
        """Lanes whose next job fits in this worker, and not in what is free of it now."""
        self.left = request.free
        self.at_quota: set[Lane] = set()
        """Lanes whose organization has all running that it may."""
        self.left_some = False
        """Jobs were found that no quota or turn lets begin, in the place of others perhaps."""
        self._may_begin: dict[str, int] = {}

    @property
    def empty(self) -> set[Lane]:
        return {one for one, candidates in self.found.items() if not candidates}

    def around(self, first: First) -> None:
        """Looks at lanes in their turn until there is enough, or nothing more, or no room."""
        most = asked = self._request.most
        turn, known = first.turn, first.rows
        while True:
            fresh = {one: models for one, models in turn.items() if one not in self.found}
            if not fresh:
                return
            self.found |= {one: [] for one in fresh}
            if open_ones := {one: fresh[one] for one in fresh if self._has_quota_left(one)}:
                self.found |= self._ask(open_ones, -(-most // len(fresh)), known)
            self._choose()
            full = len(self.chosen) >= most or (self.waiting and not self.left.slots)
            if full or len(self.waiting) > _LOOK_PAST or len(turn) < asked:
                return
            asked = most + 2 * (len(self.empty) + len(self.waiting))
            turn, known = lane.in_turn(self._tx, self._request.queues, asked), {}

    def _has_quota_left(self, one: Lane) -> bool:
        """Counted while no other claim begins jobs of the organization; where one does, they are
        left to it."""
        owner = one.organization_id
        limit = self._request.running_jobs(owner)
        if limit is None:
            return True
        if owner not in self._may_begin:
            if not try_turn(self._tx, f"running jobs of {owner}"):
                return False
            self._may_begin[owner] = limit - running_jobs(self._tx, owner)
        if self._may_begin[owner] <= 0:
            self.at_quota.add(one)
        return self._may_begin[owner] > 0

    def _ask(
        self, fresh: Mapping[Lane, set[str]], share: int, known: Mapping[Lane, Sequence[Any]]
    ) -> dict[Lane, list[Candidate]]:
        """The best jobs of the lanes: from each its share, and more where others have less."""
        most, models = self._request.most, self._request.models
        asked = {one: EVERY if there <= models else there & models for one, there in fresh.items()}
        found = best_of(self._tx, self._request, asked, share, known)
        lacking = most - sum(map(len, found.values()))
        more = {one: asked[one] for one, theirs in found.items() if len(theirs) == share}
        if lacking > 0 and more:
            found |= best_of(self._tx, self._request, more, share + lacking)
        return found

    def _choose(self) -> None:
        """As many as there is room for, one of each lane in turn; more only while all are small.

        The first that has to wait keeps what is free of what it needs: others pass it only beside
        that, and none of its own lane. So it begins as soon as those that run now leave it room.
        """
        request = self._request
        self.chosen, self.waiting, self.left = [], set(), request.free
        all_small = True
        begun: Tally[str] = Tally()
        of_model: Tally[str] = Tally()
        for candidate in self._in_turn():
            if len(self.chosen) >= request.most:
                return
            owner = candidate.lane.organization_id
            if begun[owner] >= self._may_begin.get(owner, request.most):
                self.left_some = True
                continue
            if of_model[candidate.model] >= request.turns.get(candidate.model, request.most):
                self.left_some = True
                continue
            if candidate.lane in self.waiting:
                continue
            all_small = all_small and candidate.model in request.small
            in_a_while = all_small and request.free.holds(candidate.needs)
            if in_a_while or self.left.holds(candidate.needs):
                self.chosen.append(candidate)
                begun[owner] += 1
                of_model[candidate.model] += 1
            elif self.waiting:
                self.waiting.add(candidate.lane)
                continue
            else:
                self.waiting.add(candidate.lane)
            self.left = self.left.less(candidate.needs)

    def _in_turn(self) -> list[Candidate]:
        turns = chain.from_iterable(zip_longest(*self.found.values()))
        return [candidate for candidate in turns if candidate is not None]


def _running(job: Job) -> NewEvent:
    data = {"attempt": job.attempt}
    return NewEvent(job.organization_id, job.id, job.last_seq, "job.running", data)


_NOW: Final = sa.bindparam("now", type_=jobs.c.available_at.type)
_DUE: Final = (
    sa.select(jobs.c.id)
    .where(DELAYED, jobs.c.available_at <= _NOW)
    .order_by(jobs.c.available_at)
    .limit(_DUE_AT_ONCE)
    .with_for_update(skip_locked=True)
)
_PROMOTE_DUE: Final = Prepared(
    sa.update(jobs)
    .where(jobs.c.id.in_(_DUE), QUEUED)
    .values(available_at=None)
    .returning(jobs.c.queue, jobs.c.organization_id)
)
_FRESH: Final[dict[str, Any]] = {
    "status": "RUNNING",
    "finished_at": None,
    "available_at": None,
    "progress": 0.0,
    "stage": None,
    "error": None,
    "peak_memory_bytes": None,
    "peak_gpu_memory_bytes": None,
    "gates": None,
    "metrics": None,
    "sandbox": None,
}
"""How an attempt begins."""

_START: Final = Prepared(
    sa.update(jobs)
    .where(among(jobs.c.id, "job_ids"), QUEUED)
    .values(
        **_FRESH,
        started_at=_NOW,
        worker_id=sa.bindparam("new_worker"),
        lease_token=sa.bindparam("token"),
        lease_expires_at=sa.bindparam("expires", type_=jobs.c.lease_expires_at.type),
        last_seq=jobs.c.last_seq + 1,
    )
)
