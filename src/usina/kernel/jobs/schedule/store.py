"""The rows of schedules. The next moment of each lies on its row.

Firing is one transaction: the row moves from that moment to the next and the job is inserted; two
platforms that look at once find one of them too late.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Invalid, NotFound, Problem
from usina.kernel.failpoints import reach
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.schedule.rule import MOST_AT_ONCE, CatchUp, Rule
from usina.kernel.jobs.table import schedules
from usina.kernel.tenancy.caller import owned_by

Insert = Callable[[Transaction, str, JobRequest], Job]
"""Validates and stores one job of an organization inside the transaction."""

_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What its owner says of a schedule."""

    name: str
    job: JobRequest
    rule: Rule
    catch_up: CatchUp = "one"
    enabled: bool = True

    def check(self) -> None:
        """Raises ``Invalid`` where the plan itself is wrong; its job is checked as a submit is."""
        if not 1 <= len(self.name) <= _LONGEST_NAME or not self.name.isprintable():
            message = f"A name has 1 to {_LONGEST_NAME} characters, all of them to be seen."
            raise Invalid.at("/name", message)
        self.rule.check()

    def first_after(self, moment: datetime) -> datetime | None:
        """When it fires; null while it is not enabled."""
        return self.rule.after(moment) if self.enabled else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """``last_error`` says why the last moment made no job; null where it made one."""

    id: str
    organization_id: str
    plan: Plan
    created_at: datetime
    next_at: datetime | None
    last_job_id: str | None
    last_error: str | None


def create(tx: Transaction, organization_id: str, plan: Plan) -> Schedule:
    """Stores a schedule that was checked."""
    first = plan.first_after(tx.now)
    new = Schedule(new_id(), organization_id, plan, tx.now, first, None, None)
    values: dict[str, Any] = {"id": new.id, "organization_id": organization_id}
    values |= {"created_at": new.created_at, "next_at": first} | _planned(plan)
    tx.execute(sa.insert(schedules), values)
    return new


def find(tx: Transaction, organization_id: str, schedule_id: str) -> Schedule:
    """The organization's schedule; raises ``NotFound``."""
    return _schedule(_found(tx, _one(organization_id, schedule_id)))


def page(tx: Transaction, organization_id: str, after: str | None, limit: int) -> list[Schedule]:
    """At most ``limit`` schedules older than ``after``, newest first."""
    query = sa.select(schedules).where(owned_by(organization_id, schedules))
    if after is not None:
        query = query.where(schedules.c.id < after)
    return [
        _schedule(row) for row in tx.execute(query.order_by(schedules.c.id.desc()).limit(limit))
    ]


def replace(tx: Transaction, organization_id: str, schedule_id: str, plan: Plan) -> Schedule:
    """Puts another plan in its place; its next moment stays while rule and ``enabled`` do."""
    before = _schedule(_found(tx, _one(organization_id, schedule_id).with_for_update()))
    values: dict[str, Any] = _planned(plan)
    if (before.plan.rule, before.plan.enabled) != (plan.rule, plan.enabled):
        values["next_at"] = plan.first_after(tx.now)
    tx.execute(sa.update(schedules).where(schedules.c.id == schedule_id).values(values))
    return find(tx, organization_id, schedule_id)


def delete(tx: Transaction, organization_id: str, schedule_id: str) -> None:
    """The jobs that it made stay; raises ``NotFound``."""
    gone = sa.delete(schedules).where(
        schedules.c.id == schedule_id, owned_by(organization_id, schedules)
    )
    if tx.execute(gone).rowcount == 0:
        raise NotFound


def fire_due(tx: Transaction, insert: Insert) -> list[Job]:
    """Makes the jobs of every schedule that is due and moves each to its next moment.

    A job that is refused (its model went away, its input was deleted) leaves its reason on the
    schedule, which goes on.
    """
    due = tx.execute(
        sa.select(schedules)
        .where(schedules.c.enabled, schedules.c.next_at <= tx.now)
        .order_by(schedules.c.id)
        .limit(MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    made = [job for row in due for job in _fire(tx, _schedule(row), insert)]
    if due:
        reach("fire.in_transaction")
    return made


def next_due(tx: Transaction) -> datetime | None:
    """When the next schedule fires."""
    return tx.execute(
        sa.select(sa.func.min(schedules.c.next_at)).where(schedules.c.enabled)
    ).scalar_one()


def scheduled_inputs(tx: Transaction) -> set[str]:
    """The ids of all that the jobs of schedules will read."""
    every: list[dict[str, Any]] = list(tx.execute(sa.select(schedules.c.job)).scalars())
    named = [named for job in every for named in JobRequest(**job).inputs.values()]
    return {each for ids in named for each in (ids if isinstance(ids, list) else [ids])}


def _fire(tx: Transaction, due: Schedule, insert: Insert) -> list[Job]:
    assert due.next_at is not None, "only what has a moment is due"
    wanted, following = due.plan.rule.passed(due.next_at, tx.now, due.plan.catch_up)
    made: list[Job] = []
    error: str | None = None
    try:
        made.extend(insert(tx, due.organization_id, due.plan.job) for _ in range(wanted))
    except Problem as problem:
        error = problem.detail
    values: dict[str, Any] = {"next_at": following, "last_error": error}
    if made:
        values["last_job_id"] = made[-1].id
    tx.execute(sa.update(schedules).where(schedules.c.id == due.id).values(values))
    return made


def _one(organization_id: str, schedule_id: str) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(schedules).where(
        schedules.c.id == schedule_id, owned_by(organization_id, schedules)
    )


def _found(tx: Transaction, query: sa.Select[*tuple[Any, ...]]) -> sa.Row[*tuple[Any, ...]]:
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row


def _schedule(row: sa.Row[*tuple[Any, ...]]) -> Schedule:
    rule = Rule(row.cron, row.every_seconds, row.timezone)
    plan = Plan(row.name, JobRequest(**row.job), rule, row.catch_up, row.enabled)
    last = (row.last_job_id, row.last_error)
    return Schedule(row.id, row.organization_id, plan, row.created_at, row.next_at, *last)


def _planned(plan: Plan) -> dict[str, Any]:
    """The columns that its owner decides."""
    return {
        "name": plan.name,
        "cron": plan.rule.cron,
        "every_seconds": plan.rule.every_seconds,
        "timezone": plan.rule.timezone,
        "job": _as_json(plan.job),
        "catch_up": plan.catch_up,
        "enabled": plan.enabled,
    }


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
        "reuse": request.reuse,
        "callback_url": request.callback_url,
    }
