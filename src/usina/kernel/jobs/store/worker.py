"""Workers as operators see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.table import workers


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
