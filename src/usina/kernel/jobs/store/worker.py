"""Workers as operators see them, and what a waiting job may hope for from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.table import RUNNING, jobs, queues, workers

_REMEMBERED: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """``sandbox`` says by layer why it is not on, and nothing where it is; ``free`` is what was not
    taken at its last heartbeat."""

    id: str
    name: str
    room: Room
    free: Room
    queues: Sequence[str]
    started_at: datetime
    seen_at: datetime
    sandbox: Mapping[str, str]


def living(tx: Transaction, alive: timedelta, after: str | None, limit: int) -> list[SeenWorker]:
    """Those that were heard of lately, newest first."""
    query = sa.select(workers).where(workers.c.seen_at > tx.now - alive)
    if after is not None:
        query = query.where(workers.c.id < after)
    return [
        SeenWorker(
            id=row.id,
            name=row.name,
            room=(room := Room(row.slots, row.memory_bytes, row.gpus)),
            free=Room(**row.free) if row.free else room,
            queues=row.queues or (),
            started_at=row.started_at,
            seen_at=row.seen_at,
            sandbox=row.sandbox or {},
        )
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


@dataclass(frozen=True, slots=True)
class Fleet:
    """The living workers, by the queues that they serve and the room that they have, and the
    queues that are paused."""

    workers: tuple[tuple[frozenset[str], Room], ...]
    paused: frozenset[str]

    def why_waits(self, queue: str, needs: Room) -> str:
        """Why a job that could begin has not: its ``waiting_reason``."""
        if queue in self.paused:
            return "queue_paused"
        able = (queue in serves and room.holds(needs.of(room)) for serves, room in self.workers)
        return "slot" if any(able) else "no_worker"


def fleet(tx: Transaction, alive: timedelta) -> Fleet:
    """As it is now."""
    columns = (workers.c.queues, workers.c.slots, workers.c.memory_bytes, workers.c.gpus)
    rows = tx.execute(sa.select(*columns).where(workers.c.seen_at > tx.now - alive))
    paused = tx.execute(sa.select(queues.c.name).where(queues.c.paused)).scalars()
    living = {(frozenset(queues or ()), Room(*room)) for queues, *room in rows}
    return Fleet(tuple(living), frozenset(paused))
