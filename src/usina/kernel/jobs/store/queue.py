"""Queues as operators see them: what waits, what runs, how much was done lately."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.prepared import Prepared, insert_new
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.table import READY, RUNNING, jobs, lanes, queues

_WINDOW: Final = timedelta(seconds=600)
_MOST_COUNTED: Final = 20_000
"""So many of the newest ends are looked at, however many there were."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    queue: str
    depth: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Throughput:
    """By queue, how many jobs succeeded or failed within the ``window`` that ends now."""

    window: timedelta
    finished: Mapping[str, int]


def depths(tx: Transaction) -> list[QueueDepth]:
    """How many jobs each queue with any holds, and since when its oldest claimable one waits."""
    waiting = sa.func.sum(lanes.c.ready + lanes.c.delayed)
    query = sa.select(lanes.c.queue, waiting.label("depth")).group_by(lanes.c.queue)
    rows = tx.execute(query.having(waiting > 0)).all()
    oldest = {row.queue: tx.execute(oldest_of(row.queue)).scalar() for row in rows}
    return [QueueDepth(row.queue, int(row.depth), oldest[row.queue]) for row in rows]


def oldest_of(queue: str) -> sa.Select[datetime]:
    """When the oldest ready job of the queue was made.

    By an expression over its name, which is in lower case: so every engine goes along the index of
    moments, and none sorts all that it finds by another.
    """
    ready = sa.select(jobs.c.created_at).where(READY, sa.func.lower(jobs.c.queue) == queue)
    return ready.order_by(jobs.c.created_at).limit(1)


def running(tx: Transaction) -> dict[str, int]:
    """By queue, how many jobs run."""
    counted = sa.select(jobs.c.queue, sa.func.count().label("jobs")).where(RUNNING)
    return {row.queue: row.jobs for row in tx.execute(counted.group_by(jobs.c.queue))}


def throughput(tx: Transaction, most: int = _MOST_COUNTED) -> Throughput:
    """What ended lately, read off the index of ends: the newest ``most`` of the last ten minutes.

    Where there were more, the window is as long as they reach back.
    """
    newest = _newest_ends(tx.now - _WINDOW, most).subquery()
    first = sa.type_coerce(sa.func.min(newest.c.finished_at), jobs.c.finished_at.type)
    whole = sa.func.count()
    columns = (
        newest.c.queue,
        whole.label("ended"),
        whole.filter(newest.c.status != "CANCELLED").label("finished"),
        first.label("first"),
    )
    rows = tx.execute(sa.select(*columns).group_by(newest.c.queue)).all()
    cut = sum(row.ended for row in rows) == most
    window = tx.now - min(row.first for row in rows) if cut else _WINDOW
    return Throughput(window, {row.queue: row.finished for row in rows})


def _newest_ends(since: datetime, most: int) -> sa.Select[*tuple[Any, ...]]:
    ended = sa.select(jobs.c.queue, jobs.c.status, jobs.c.finished_at)
    return ended.where(jobs.c.finished_at > since).order_by(jobs.c.finished_at.desc()).limit(most)


def paused(tx: Transaction) -> set[str]:
    """The names of those that give nothing out."""
    return set(tx.execute(sa.select(queues.c.name).where(queues.c.paused)).scalars())


def set_paused(tx: Transaction, name: str, value: bool) -> None:
    """A queue has a row from its first pause on."""
    _INSERT_NEW.run(tx, {"name": name, "paused": value})
    tx.execute(sa.update(queues).where(queues.c.name == name).values(paused=value))


_INSERT_NEW: Final = Prepared(insert_new(queues), ("name", "paused"))
