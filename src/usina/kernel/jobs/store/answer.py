"""Answering: a queued job begins and ends in one commit, by what an earlier one has made.

No worker holds it and nothing of a worker's room is taken, so neither slots nor GPUs nor a quota of
running jobs can keep it waiting; nobody ever sees it run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import Announce
from usina.kernel.failpoints import reach
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.store import lane
from usina.kernel.jobs.store.claim import begin
from usina.kernel.jobs.store.ending import Settle, finish, locked
from usina.kernel.jobs.store.lane import Lane, Moves
from usina.kernel.jobs.store.queue import paused
from usina.kernel.jobs.store.reuse import Copied
from usina.kernel.jobs.store.row import job_of
from usina.kernel.jobs.table import REUSING, jobs

_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was copied for a job, as it waited then."""

    job: Job
    copied: Copied


def answer(
    tx: Transaction, answers: Sequence[Answer], announce: Announce, settle: Settle
) -> list[bool]:
    """Ends the jobs that still wait as they did, and whose queue gives something out; which."""
    rows = locked(tx, [each.job.id for each in answers])
    closed = paused(tx)
    open_ = [each for each in answers if _waits(rows.get(each.job.id), each.job, closed)]
    if not open_:
        return [False] * len(answers)
    waiting = [rows[each.job.id] for each in open_]
    begun = begin(tx, waiting, None, _NO_TIME, announce)
    lane.count(tx, _gone(waiting))
    endings = [each.copied.ending(lease) for each, (_, lease) in zip(open_, begun, strict=True)]
    states = finish(tx, endings, 0.0, announce, settle)
    reach("reuse.in_transaction")
    ended = {ending.lease.job_id for ending, state in zip(endings, states, strict=True) if state}
    return [each.job.id in ended for each in answers]


def waiting_for_reuse(tx: Transaction, after: str | None, most: int) -> list[Job]:
    """Queued jobs that take an earlier result, by their ids, those after one or the first."""
    found = sa.select(jobs).where(REUSING, jobs.c.queue.not_in(paused(tx)))
    if after is not None:
        found = found.where(jobs.c.id > after)
    return [job_of(row) for row in tx.execute(found.order_by(jobs.c.id).limit(most))]


def _waits(row: sa.Row[Any] | None, as_seen: Job, closed: set[str]) -> bool:
    same = row is not None and (row.status, row.attempt) == ("QUEUED", as_seen.attempt)
    return same and as_seen.queue not in closed


def _gone(rows: Sequence[sa.Row[Any]]) -> Moves:
    """Off their lanes, from where they were counted."""
    ready = [row for row in rows if row.available_at is None]
    delayed = [row for row in rows if row.available_at is not None]
    return Moves.of(
        not_ready=[Lane(row.queue, row.organization_id) for row in ready],
        not_delayed=[Lane(row.queue, row.organization_id) for row in delayed],
    )
