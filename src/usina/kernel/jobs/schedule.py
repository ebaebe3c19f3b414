"""Jobs by the clock: cron or a fixed step, each fire exactly once.

A schedule's next moment lies on its row. Firing is one transaction: the row moves from that moment
to the next and the job is inserted; two platforms that look at once find one of them too late.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from cronsim import CronSim, CronSimError

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Invalid, Problem
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.table import schedules
from usina.kernel.text import refuse_nul

CatchUp = Literal["skip", "one", "all"]
Insert = Callable[[Transaction, str, JobRequest], Job]
"""Validates and stores one job of an organization inside the transaction."""

_MOST_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """Either ``cron`` (five fields, in ``timezone``) or ``every_seconds``.

    ``catch_up`` says what happens to fires that were missed while nothing ran: ``skip`` them,
    make ``one`` for all of them, or make ``all``.
    """

    organization_id: str
    name: str
    job: JobRequest
    cron: str | None = None
    every_seconds: int | None = None
    timezone: str = "UTC"
    catch_up: CatchUp = "one"


def create(tx: Transaction, new: NewSchedule) -> str:
    """Stores the schedule and returns its id; raises ``Invalid`` for a rule that never fires."""
    refuse_nul(new.name, "/name")
    if (new.cron is None) == (new.every_seconds is None):
        raise Invalid.at("/cron", "A schedule has either cron or every_seconds.")
    if new.every_seconds is not None and new.every_seconds < 1:
        raise Invalid.at("/every_seconds", "every_seconds is at least 1.")
    first = next_moment(new.cron, new.every_seconds, new.timezone, tx.now)
    schedule_id = new_id()
    row: dict[str, Any] = {
        "id": schedule_id,
        "organization_id": new.organization_id,
        "name": new.name,
        "cron": new.cron,
        "every_seconds": new.every_seconds,
        "timezone": new.timezone,
        "job": _as_json(new.job),
        "catch_up": new.catch_up,
        "enabled": True,
        "next_at": first,
        "created_at": tx.now,
    }
    tx.execute(sa.insert(schedules), row)
    return schedule_id


def fire_due(tx: Transaction, insert: Insert) -> list[Job]:
    """Makes the jobs of every schedule that is due and moves each to its next moment.

    A job that is refused (its model went away, its input was deleted) leaves its reason on the
    schedule, which goes on.
    """
    due = tx.execute(
        sa.select(schedules)
        .where(schedules.c.enabled, schedules.c.next_at <= tx.now)
        .order_by(schedules.c.id)
        .limit(_MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    return [job for row in due for job in _fire(tx, row, insert)]


def next_due(tx: Transaction) -> datetime | None:
    """When the next schedule fires."""
    return tx.execute(
        sa.select(sa.func.min(schedules.c.next_at)).where(schedules.c.enabled)
    ).scalar_one()


def next_moment(
    cron: str | None, every_seconds: int | None, timezone: str, after: datetime
) -> datetime:
    """The first moment after ``after``; daylight saving follows the zone's wall clock."""
    if cron is None:
        return after + timedelta(seconds=every_seconds or 0)
    try:
        local = after.astimezone(ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError):
        raise Invalid.at("/timezone", f"{timezone!r} is no time zone of this machine.") from None
    try:
        return next(CronSim(cron, local)).astimezone(after.tzinfo)
    except (CronSimError, StopIteration):
        raise Invalid.at("/cron", f"{cron!r} is no cron rule of five fields that fires.") from None


def _fire(tx: Transaction, row: sa.Row[Any], insert: Insert) -> list[Job]:
    missed, following = _moments(row, tx.now)
    made: list[Job] = []
    error: str | None = None
    try:
        made = [insert(tx, row.organization_id, _from_json(row.job)) for _ in range(missed)]
    except Problem as problem:
        error = problem.detail
    values: dict[str, Any] = {"next_at": following, "last_error": error}
    if made:
        values["last_job_id"] = made[-1].id
    tx.execute(sa.update(schedules).where(schedules.c.id == row.id).values(values))
    return made


def _moments(row: sa.Row[Any], now: datetime) -> tuple[int, datetime]:
    """How many jobs to make for the moments up to now, and the first moment after it."""
    passed = 0
    moment: datetime = row.next_at
    while moment <= now:
        passed += 1
        moment = next_moment(row.cron, row.every_seconds, row.timezone, moment)
        if passed == _MOST_AT_ONCE:
            moment = max(moment, next_moment(row.cron, row.every_seconds, row.timezone, now))
    wanted = {"all": passed, "one": 1, "skip": 1 if passed == 1 else 0}
    return wanted[row.catch_up], moment


def _as_json(request: JobRequest) -> dict[str, Any]:
    return {
        "model": request.model,
        "params": dict(request.params),
        "inputs": dict(request.inputs),
        "priority": request.priority,
        "max_attempts": request.max_attempts,
        "timeout_seconds": request.timeout_seconds,
        "labels": dict(request.labels),
        "strict": request.strict,
    }


def _from_json(stored: dict[str, Any]) -> JobRequest:
    return JobRequest(**stored)
