"""Workers as operators see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.table import RUNNING, jobs, workers

_REMEMBERED: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """``sandbox`` says by layer why it is not on, and nothing where it is."""

    id: str
    name: str
    slots: int
    started_at: datetime
    seen_at: datetime
    sandbox: Mapping[str, str]


def living(tx: Transaction, alive: timedelta, after: str | None, limit: int) -> list[SeenWorker]:
    """Those that were heard of lately, newest first."""
    query = sa.select(workers).where(workers.c.seen_at > tx.now - alive)
    if after is not None:
        query = query.where(workers.c.id < after)
    return [
        SeenWorker(row.id, row.name, row.slots, row.started_at, row.seen_at, row.sandbox or {})
        for row in tx.execute(query.order_by(workers.c.id.desc()).limit(limit))
    ]


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
