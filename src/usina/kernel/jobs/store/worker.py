"""Workers as operators see them, what they ask of them, and what a waiting job may hope for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store import lane
from usina.kernel.jobs.store.queue import paused
from usina.kernel.jobs.table import RUNNING, jobs, workers

_REMEMBERED: Final = timedelta(days=1)
_LANES_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """``models`` names those that it can run, ``warm`` those whose programs wait loaded;
    ``sandbox`` says by layer why it is not on, and nothing where it is; ``free`` is what no job has
    now."""

    id: str
    name: str
    room: Room
    free: Room
    queues: Sequence[str]
    models: Sequence[str]
    warm: Sequence[str]
    draining: bool
    started_at: datetime
    seen_at: datetime
    sandbox: Mapping[str, str]
    cards: Sequence[Mapping[str, Any]] = ()
    """What it knows of each of its GPUs, those out of service too."""

    @property
    def busy_slots(self) -> int:
        """Those of the jobs that it holds."""
        return self.room.slots - self.free.slots


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


def models_of_living(tx: Transaction, alive: timedelta) -> list[Mapping[str, str]]:
    """What each worker that was heard of lately says of its models."""
    query = sa.select(workers.c.models).where(workers.c.seen_at > tx.now - alive)
    return [models for models in tx.execute(query).scalars() if models]


def unserved(
    tx: Transaction, of_queues: Sequence[str], alive: timedelta
) -> dict[tuple[str, str], str]:
    """By queue and model, why jobs wait that no living worker can run, draining or not.

    It looks at the lanes served least lately, as those are that nobody serves."""
    told = sa.select(workers.c.queues, workers.c.models).where(heard_of(tx, alive))
    living: list[tuple[Sequence[str], Mapping[str, str]]] = [
        (row.queues or (), row.models or {}) for row in tx.execute(told)
    ]
    waiting = {
        (one.queue, model)
        for one, models in lane.in_turn(tx, of_queues, _LANES_MOST).items()
        for model in models
    }
    found: dict[tuple[str, str], str] = {}
    for queue, model in sorted(waiting):
        serving = (models for queues, models in living if queue in queues)
        reasons = [models[model] for models in serving if model in models]
        if "" not in reasons:
            found[queue, model] = min(reasons, default="no worker of its queue knows it")
    return found


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
    """The living workers that do not drain, and the queues that are paused."""

    workers: tuple["Ability", ...]
    paused: frozenset[str]

    def why_waits(self, queue: str, model: str, needs: Room) -> str:
        """Why a job that could begin has not: its ``waiting_reason``."""
        if queue in self.paused:
            return "queue_paused"
        able = (worker.can_run(queue, model, needs) for worker in self.workers)
        return "slot" if any(able) else "no_worker"

    def what_lacks(self, queue: str, model: str, needs: Room) -> str | None:
        """Of a job for which no worker is there, what they lack, for people; null where one is."""
        serving = [each.room for each in self.workers if queue in each.queues]
        if not serving:
            return f"no worker takes from the queue {queue!r}"
        serving = [e.room for e in self.workers if queue in e.queues and model in e.models]
        if not serving:
            return "no worker of its queue can run its program"
        if any(room.holds(needs.of(room)) for room in serving):
            return None
        return needs.missing_in(serving)


@dataclass(frozen=True, slots=True)
class Ability:
    """What a worker takes jobs of, and the room that it has."""

    queues: frozenset[str]
    models: frozenset[str]
    room: Room

    def can_run(self, queue: str, model: str, needs: Room) -> bool:
        held = self.room.holds(needs.of(self.room))
        return held and queue in self.queues and model in self.models


def fleet(tx: Transaction, alive: timedelta) -> Fleet:
    """As it is now."""
    room = (workers.c.slots, workers.c.memory_bytes, workers.c.gpus, workers.c.gpu_memory_bytes)
    columns = sa.select(workers.c.queues, workers.c.models, *room)
    rows = tx.execute(columns.where(heard_of(tx, alive), ~workers.c.draining))
    living = {
        Ability(
            frozenset(row.queues or ()),
            frozenset(served(row.models)),
            Room(row.slots, row.memory_bytes, row.gpus, row.gpu_memory_bytes),
        )
        for row in rows
    }
    return Fleet(tuple(living), frozenset(paused(tx)))


def served(told: Mapping[str, str] | None) -> list[str]:
    """Of what a worker tells of its models, those that it can run."""
    return sorted(name for name, reason in (told or {}).items() if not reason)


def heard_of(tx: Transaction, alive: timedelta) -> sa.ColumnElement[bool]:
    return workers.c.seen_at > tx.now - alive


def _living(tx: Transaction, alive: timedelta) -> sa.Select[Any]:
    return sa.select(workers).where(heard_of(tx, alive)).order_by(workers.c.id.desc())


def _seen(tx: Transaction, query: sa.Select[Any]) -> list[SeenWorker]:
    rows = tx.execute(query).all()
    taken = _taken(tx, [row.id for row in rows]) if rows else {}
    return [
        SeenWorker(
            id=row.id,
            name=row.name,
            room=(room := Room(row.slots, row.memory_bytes, row.gpus, row.gpu_memory_bytes)),
            free=room.less(taken.get(row.id, Room(0, 0))),
            queues=row.queues or (),
            models=served(row.models),
            warm=row.warm or (),
            draining=row.draining,
            started_at=row.started_at,
            seen_at=row.seen_at,
            sandbox=row.sandbox or {},
            cards=row.cards or (),
        )
        for row in rows
    ]


def _taken(tx: Transaction, worker_ids: Sequence[str]) -> dict[str, Room]:
    """By worker, what the jobs on it ask for."""
    needs = (jobs.c.slots, jobs.c.memory_bytes, jobs.c.gpus)
    sums = [sa.func.sum(each).label(each.name) for each in needs]
    held = sa.select(jobs.c.worker_id, *sums).where(RUNNING, jobs.c.worker_id.in_(worker_ids))
    rows = tx.execute(held.group_by(jobs.c.worker_id))
    return {r.worker_id: Room(int(r.slots), int(r.memory_bytes), int(r.gpus)) for r in rows}
