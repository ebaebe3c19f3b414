"""Workers as operators see them, and what they ask of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.table import RUNNING, jobs, workers

_REMEMBERED: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """``sandbox`` says by layer why it is not on, and nothing where it is; ``warm`` names models
    whose programs wait loaded; ``busy_slots`` are those of the jobs that it holds."""

    id: str
    name: str
    slots: int
    busy_slots: int
    queues: Sequence[str]
    warm: Sequence[str]
    draining: bool
    started_at: datetime
    seen_at: datetime
    sandbox: Mapping[str, str]


def living(tx: Transaction, alive: timedelta) -> list[SeenWorker]:
    """Those that were heard of lately, newest first."""
    return _seen(tx, _living(tx, alive))


def page(tx: Transaction, alive: timedelta, after: str | None, limit: int) -> list[SeenWorker]:
    """The same, at most ``limit`` that are older than ``after``."""
    query = _living(tx, alive)
    if after is not None:
        query = query.where(workers.c.id < after)
    return _seen(tx, query.limit(limit))


def find(tx: Transaction, alive: timedelta, worker_id: str) -> SeenWorker | None:
    """One of them."""
    found = _seen(tx, _living(tx, alive).where(workers.c.id == worker_id))
    return found[0] if found else None


def set_draining(tx: Transaction, worker_id: str, draining: bool) -> None:
    """What the worker reads with its next heartbeat."""
    tx.execute(sa.update(workers).where(workers.c.id == worker_id).values(draining=draining))


def served_queues(tx: Transaction, alive: timedelta) -> set[str]:
    """Queues that a living worker takes from; one that drains takes from none."""
    taking = sa.select(workers.c.queues).where(_heard_of(tx, alive), ~workers.c.draining)
    return {name for queues in tx.execute(taking).scalars() for name in queues or ()}


def models_of_living(tx: Transaction, alive: timedelta) -> list[Mapping[str, str]]:
    """What each worker that was heard of lately says of its models."""
    query = sa.select(workers.c.models).where(workers.c.seen_at > tx.now - alive)
    return [models for models in tx.execute(query).scalars() if models]


def forget_unseen_workers(tx: Transaction) -> None:
    """Those that died long ago and hold nothing."""
    holding = sa.select(jobs.c.worker_id).where(RUNNING, jobs.c.worker_id.is_not(None))
    tx.execute(
        sa.delete(workers).where(
            workers.c.seen_at < tx.now - _REMEMBERED, workers.c.id.not_in(holding)
        )
    )


def _heard_of(tx: Transaction, alive: timedelta) -> sa.ColumnElement[bool]:
    return workers.c.seen_at > tx.now - alive


def _living(tx: Transaction, alive: timedelta) -> sa.Select[Any]:
    return sa.select(workers).where(_heard_of(tx, alive)).order_by(workers.c.id.desc())


def _seen(tx: Transaction, query: sa.Select[Any]) -> list[SeenWorker]:
    rows = tx.execute(query).all()
    busy = _busy_slots(tx, [row.id for row in rows]) if rows else {}
    return [
        SeenWorker(
            id=row.id,
            name=row.name,
            slots=row.slots,
            busy_slots=min(row.slots, busy.get(row.id, 0)),
            queues=row.queues or (),
            warm=row.warm or (),
            draining=row.draining,
            started_at=row.started_at,
            seen_at=row.seen_at,
            sandbox=row.sandbox or {},
        )
        for row in rows
    ]


def _busy_slots(tx: Transaction, worker_ids: Sequence[str]) -> dict[str, int]:
    """By worker, the slots that the jobs on it ask for."""
    asked = sa.func.sum(jobs.c.slots).label("slots")
    held = sa.select(jobs.c.worker_id, asked).where(RUNNING, jobs.c.worker_id.in_(worker_ids))
    return {row.worker_id: row.slots for row in tx.execute(held.group_by(jobs.c.worker_id))}
