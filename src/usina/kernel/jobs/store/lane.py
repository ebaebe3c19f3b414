"""Lanes: one organization's jobs in one queue, how many wait there, and whose turn it is.

A lane's row counts its queued jobs, so neither a claim nor a submit nor a gauge has to: claims find
the lanes with work by an index over nothing else, and a new job's place follows from the count.

The counts can not drift: whoever moves a job into the queue or out of it counts that in the same
transaction (:func:`count`), after its events were appended. From then on it has the organization's
turn, so nobody waits for a lane but those who would wait for the turn, and always in that order.
"""

from collections import Counter as Tally
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from usina.kernel.db.prepared import Prepared, among
from usina.kernel.db.turn import take_turns
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import turn_of
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.table import QUEUED, READY, jobs, lanes, queues

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Lane(NamedTuple):
    queue: str
    organization_id: str


@dataclass(frozen=True, slots=True)
class Moves:
    """How many more jobs of each lane are ready now, and how many more wait for a moment."""

    ready: Mapping[Lane, int]
    delayed: Mapping[Lane, int]

    @classmethod
    def of(
        cls,
        *,
        ready: Iterable[Lane] = (),
        delayed: Iterable[Lane] = (),
        not_ready: Iterable[Lane] = (),
        not_delayed: Iterable[Lane] = (),
    ) -> "Moves":
        """Each lane as often as a job of it went in or out."""
        more, later = Tally(ready), Tally(delayed)
        more.subtract(not_ready)
        later.subtract(not_delayed)
        return cls(more, later)


def count(tx: Transaction, moves: Moves) -> dict[Lane, int]:
    """Counts the moves and answers how many jobs are ready in each of the lanes then."""
    touched = sorted({*moves.ready, *moves.delayed})
    rows = [
        {
            "queue": one.queue,
            "organization_id": one.organization_id,
            "served_at": _NEVER,
            "has_work": moves.ready.get(one, 0) > 0,
            "ready": moves.ready.get(one, 0),
            "delayed": moves.delayed.get(one, 0),
        }
        for one in touched
    ]
    counted = _COUNT.ask_many(tx, rows) if rows else ()
    return {Lane(row.queue, row.organization_id): row.ready for row in counted}


def serve(tx: Transaction, taken: Mapping[Lane, int]) -> dict[Lane, int]:
    """Takes so many jobs off each lane, which goes to the end of the turn; how many it has left."""
    rows = [one._asdict() | {"taken": taken[one], "now": tx.now} for one in sorted(taken)]
    served = _SERVE.ask_many(tx, rows)
    return {Lane(row.queue, row.organization_id): row.ready for row in served}


def in_turn(tx: Transaction, of_queues: Sequence[str], most: int) -> dict[Lane, set[str]]:
    """The lanes with work, least lately served first, each with the models that are asked for
    there; at most so many of each queue, and none of a paused one."""
    names = names_of(of_queues)
    turn: dict[Lane, set[str]] = {}
    for queue, owner, model in _in_turn(len(names)).all(tx, names | {"most": most}):
        models = turn.setdefault(Lane(queue, owner), set())
        if model is not None:
            models.add(model)
    return turn


def have_ready(
    tx: Transaction, asked: Collection[Lane], models: Collection[str], fitting: Room
) -> bool:
    """Whether a job of the models that fits there is ready in one of the lanes, whoever looks at
    it."""
    able = {"memory_bytes": fitting.memory_bytes, "gpus": fitting.gpus, "models": [*models]}
    able |= {"gpu_memory_bytes": fitting.gpu_memory_bytes}
    owners: dict[str, list[str]] = {}
    for one in asked:
        owners.setdefault(one.queue, []).append(one.organization_id)
    return any(
        _SOME_READY.all(tx, {"queue": queue, "owners": theirs} | able)
        for queue, theirs in owners.items()
    )


def miscounted(tx: Transaction) -> list[Lane]:
    """Lanes whose counts differ from their jobs, in one snapshot: none, if nobody's hand moved a
    job and no program had a fault."""
    counts = (lanes.c.queue, lanes.c.organization_id, lanes.c.ready, lanes.c.delayed)
    counted = _by_lane(tx, sa.select(*counts))
    real = _by_lane(tx, _REAL)
    every = {*counted, *real}
    return sorted(one for one in every if counted.get(one, (0, 0)) != real.get(one, (0, 0)))


def _by_lane(tx: Transaction, query: sa.Select[str, str, int, int]) -> dict[Lane, tuple[int, int]]:
    return {
        Lane(row.queue, row.organization_id): (row.ready, row.delayed) for row in tx.execute(query)
    }


def count_anew(tx: Transaction, one: Lane) -> None:
    """Puts the counts of a lane right. Who moves its jobs meanwhile counts after this."""
    take_turns(tx, {turn_of(one.organization_id)})
    count(tx, Moves.of(ready=[one], not_ready=[one]))
    here = (jobs.c.queue == one.queue, jobs.c.organization_id == one.organization_id)
    real = tx.execute(_REAL.where(*here)).one_or_none()
    ready, delayed = (real.ready, real.delayed) if real else (0, 0)
    tx.execute(
        sa.update(lanes)
        .where(lanes.c.queue == one.queue, lanes.c.organization_id == one.organization_id)
        .values(ready=ready, delayed=delayed, has_work=ready > 0)
    )


def names_of(of_queues: Sequence[str]) -> dict[str, str]:
    """The queues as :func:`walk_of` binds them."""
    return {f"queue_{place}": name for place, name in enumerate(of_queues)}


@cache
def _in_turn(count: int) -> Prepared:
    walk = walk_of(count)
    return Prepared(
        sa.select(walk.c.queue, walk.c.organization_id, walk.c.model).order_by(
            walk.c.served_at, walk.c.organization_id, walk.c.queue
        )
    )


def walk_of(count: int) -> sa.CTE:
    """The lanes of so many queues with their models: one limited look for each queue, since only
    one queue's lanes lie in their order."""
    looks: list[sa.Select[Any, Any, Any]] = []
    for place in range(count):
        name = sa.bindparam(f"queue_{place}", type_=lanes.c.queue.type)
        turn = (
            sa.select(lanes.c.queue, lanes.c.organization_id, lanes.c.served_at)
            .where(
                lanes.c.queue == name,
                lanes.c.has_work,
                ~sa.exists().where(queues.c.name == name, queues.c.paused),
            )
            .order_by(lanes.c.served_at, lanes.c.organization_id)
            .limit(sa.bindparam("most"))
            .subquery(f"look_{place}")
        )
        looks.append(sa.select(turn.c.queue, turn.c.organization_id, turn.c.served_at))
    return _walk(sa.union_all(*looks).subquery("looks"))


def _walk(looks: sa.Subquery) -> sa.CTE:
    """Each lane with each model of its ready jobs and then with none: a step along the index for
    each, however many jobs there are."""
    lane = (looks.c.queue, looks.c.organization_id, looks.c.served_at)
    walk = sa.select(*lane, _next_model(looks).label("model")).cte("walk", recursive=True)
    further = _next_model(walk, jobs.c.model > walk.c.model).label("model")
    lane = (walk.c.queue, walk.c.organization_id, walk.c.served_at)
    return walk.union_all(sa.select(*lane, further).where(walk.c.model.is_not(None)))


def _next_model(
    of_lane: sa.Subquery | sa.CTE, *beyond: sa.ColumnElement[bool]
) -> sa.ScalarSelect[str]:
    here = (jobs.c.queue == of_lane.c.queue, jobs.c.organization_id == of_lane.c.organization_id)
    ready = sa.select(jobs.c.model).where(*here, READY, *beyond).order_by(jobs.c.model).limit(1)
    return ready.correlate(of_lane).scalar_subquery()


_NEW: Final = postgresql.insert(lanes)
_READY_THEN: Final = lanes.c.ready + _NEW.excluded.ready
_NONE: Final = sa.literal_column("0", lanes.c.ready.type)
_COUNT: Final = Prepared(
    _NEW.on_conflict_do_update(
        index_elements=(lanes.c.queue, lanes.c.organization_id),
        set_={
            "ready": _READY_THEN,
            "delayed": lanes.c.delayed + _NEW.excluded.delayed,
            "has_work": _READY_THEN > _NONE,
        },
    ).returning(lanes.c.queue, lanes.c.organization_id, lanes.c.ready),
    ("queue", "organization_id", "served_at", "has_work", "ready", "delayed"),
    tells_now=True,
)
_LEFT: Final = lanes.c.ready - sa.bindparam("taken", type_=lanes.c.ready.type)
_SERVE: Final = Prepared(
    sa.update(lanes)
    .where(
        lanes.c.queue == sa.bindparam("queue"),
        lanes.c.organization_id == sa.bindparam("organization_id"),
    )
    .values(
        served_at=sa.bindparam("now", type_=lanes.c.served_at.type),
        ready=_LEFT,
        has_work=_LEFT > 0,
    )
    .returning(lanes.c.queue, lanes.c.organization_id, lanes.c.ready)
)
_SOME_READY: Final = Prepared(
    sa.select(lanes.c.organization_id)
    .where(
        lanes.c.queue == sa.bindparam("queue"),
        among(lanes.c.organization_id, "owners"),
        sa.exists().where(
            jobs.c.queue == lanes.c.queue,
            jobs.c.organization_id == lanes.c.organization_id,
            READY,
            among(jobs.c.model, "models"),
            jobs.c.memory_bytes <= sa.bindparam("memory_bytes"),
            jobs.c.gpus <= sa.bindparam("gpus"),
            jobs.c.gpu_memory_bytes <= sa.bindparam("gpu_memory_bytes"),
        ),
    )
    .limit(1)
)
_IS_DELAYED: Final = sa.func.count(jobs.c.available_at)
_REAL: Final = (
    sa.select(
        jobs.c.queue,
        jobs.c.organization_id,
        (sa.func.count() - _IS_DELAYED).label("ready"),
        _IS_DELAYED.label("delayed"),
    )
    .where(QUEUED)
    .group_by(jobs.c.queue, jobs.c.organization_id)
)
