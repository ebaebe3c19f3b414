"""Candidates of a claim: the best jobs of each lane that a worker can run.

In a lane, the highest priority comes first, then the oldest job; among those of one priority that
came within a few seconds of each other, one whose program is warm. What can not be run here is
never read, be it a million jobs that stand before the first that can.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from usina.kernel.db.prepared import Prepared
from usina.kernel.db.schema import Id
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store import lane
from usina.kernel.jobs.store.lane import Lane
from usina.kernel.jobs.table import DELAYED, READY, jobs

_TIE: Final = timedelta(seconds=5)
"""Jobs that came so close to each other count as equally old."""

_LOOK_AHEAD: Final = 32

EVERY: Final = None
Asked = Mapping[Lane, Collection[str] | None]
"""Lanes with the models that are looked for there: every one, where all of them can be run here."""


class Abilities(Protocol):
    """What a worker can run: jobs of the ``models`` that fit in its ``capacity``. ``warm`` names
    what waits loaded there, models with the organization that they may serve, null for any."""

    @property
    def models(self) -> frozenset[str]: ...

    @property
    def capacity(self) -> Room: ...

    @property
    def warm(self) -> Collection[tuple[str, str | None]]: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that nobody else takes or changes before the end of the transaction."""

    id: str
    lane: Lane
    needs: Room
    row: Any
    """Its whole row."""

    @property
    def model(self) -> str:
        return self.row.model


@dataclass(frozen=True, slots=True)
class First:
    """The first look of a claim: when the next delayed job is due, the lanes in their turn with the
    models that are asked for there, and, as far as it was cheap to bring them along, the best jobs
    of each."""

    due: datetime | None
    turn: dict[Lane, set[str]]
    rows: dict[Lane, list[Any]]


def first_look(tx: Transaction, worker: Abilities, queues: Sequence[str], most: int) -> First:
    """PostgreSQL, which is far away, answers in one way."""
    if tx.connection.dialect.name == "sqlite":
        return First(_NEXT_DUE.all(tx)[0].due, lane.in_turn(tx, queues, most), {})
    room = worker.capacity
    values = {**lane.names_of(queues), "most": most, "served": sorted(worker.models)}
    values |= fitting(room)
    found = _first(len(queues)).all(tx, values)
    turn: dict[Lane, set[str]] = {}
    rows: dict[Lane, list[Any]] = {}
    for row in found:
        if row.of_queue is None:
            continue
        one = Lane(row.of_queue, row.of_owner)
        turn[one] = set(row.of_models or ())
        if turn[one] <= worker.models:
            theirs = rows.setdefault(one, [])
            if row.id is not None:
                theirs.append(row)
    return First(found[0].due, turn, rows)


def best_of(
    tx: Transaction,
    worker: Abilities,
    asked: Asked,
    share: int,
    known: Mapping[Lane, Sequence[Any]] | None = None,
) -> dict[Lane, list[Candidate]]:
    """The best of each lane; a cold one lets a warm one pass that came just after it. Of some lanes
    so many rows are ``known``."""
    known = known or {}
    found = _candidates(worker, asked, [row for one in asked for row in known.get(one, ())], share)
    found |= _read(tx, worker, {one: asked[one] for one in asked if one not in known}, share)
    cold = {
        one: models
        for one, models in asked.items()
        if _some_cold(found[one], _warm_for(worker, one))
    }
    if cold:
        for one, ahead in _read(tx, worker, cold, share + _LOOK_AHEAD).items():
            found[one] = _warm_first(ahead, _warm_for(worker, one))[:share]
    return found


def fitting(room: Room) -> dict[str, Any]:
    """What binds the most that a job may need there."""
    most = {"memory": room.memory_bytes, "gpus_most": room.gpus}
    return most | {"gpu_memory": room.gpu_memory_bytes}


def _read(
    tx: Transaction, worker: Abilities, asked: Asked, share: int
) -> dict[Lane, list[Candidate]]:
    """Up to ``share`` jobs of each lane that this worker can run; no other claim looks at them
    meanwhile."""
    room = worker.capacity
    values: dict[str, Any] = {"share": share} | fitting(room)
    rows = [*_rows_of_whole(tx, values, asked), *_rows_of_some(tx, values, asked)]
    return _candidates(worker, asked, rows, share)


def _candidates(
    worker: Abilities, asked: Collection[Lane], rows: Sequence[Any], share: int
) -> dict[Lane, list[Candidate]]:
    found: dict[Lane, list[Candidate]] = {one: [] for one in asked}
    for row in rows:
        needs = Room(row.slots, row.memory_bytes, row.gpus, row.gpu_memory_bytes)
        needs = needs.of(worker.capacity)
        where = Lane(row.queue, row.organization_id)
        if row.model in worker.models:  # another may have come since the lane was looked at
            found[where].append(Candidate(row.id, where, needs, row))
    for candidates in found.values():
        candidates.sort(key=lambda candidate: (-candidate.row.priority, candidate.id))
        del candidates[share:]
    return found


def _rows_of_whole(tx: Transaction, values: Mapping[str, Any], asked: Asked) -> list[Any]:
    """The best of the lanes where any job may be taken, lane by lane."""
    whole = [one for one, models in asked.items() if models is EVERY]
    if not whole:
        return []
    if tx.connection.dialect.name != "sqlite":
        return _BEST_OF_LANES.all(tx, {**values, **_listed(whole)})
    return [
        row
        for queue, owner in whole
        for row in _BEST_OF_LANE.all(tx, {**values, "the_queue": queue, "owner": owner})
    ]


def _rows_of_some(tx: Transaction, values: Mapping[str, Any], asked: Asked) -> list[Any]:
    """The best of each model that may be taken, in lanes where others are among them: so what is
    passed by is never read, be it a million jobs."""
    some = [(one, model) for one, models in asked.items() for model in sorted(models or ())]
    if not some:
        return []
    if tx.connection.dialect.name != "sqlite":
        lists = _listed([one for one, _ in some])
        return _BEST_OF_MODELS.all(tx, {**values, **lists, "models": [m for _, m in some]})
    return [
        row
        for (queue, owner), model in some
        for row in _BEST_OF_MODEL.all(
            tx, {**values, "the_queue": queue, "owner": owner, "the_model": model}
        )
    ]


def _listed(asked: Sequence[Lane]) -> dict[str, list[str]]:
    return {
        "queues": [one.queue for one in asked],
        "owners": [one.organization_id for one in asked],
    }


def _warm_for(worker: Abilities, one: Lane) -> set[str]:
    return {model for model, owner in worker.warm if owner in (None, one.organization_id)}


def _some_cold(found: Sequence[Candidate], warm: Collection[str]) -> bool:
    return bool(warm) and any(candidate.model not in warm for candidate in found)


def _warm_first(rows: Sequence[Candidate], warm: Collection[str]) -> list[Candidate]:
    best = rows[0].row
    latest = best.created_at + _TIE
    tied = [
        each
        for each in rows
        if each.row.priority == best.priority and each.row.created_at <= latest
    ]
    first = sorted(tied, key=lambda row: row.model not in warm)
    return [*first, *(row for row in rows if row not in tied)]


def _best(queue: Any, owner: Any, share: Any) -> sa.Select[*tuple[Any, ...]]:
    """Of one lane; what does not fit is passed by in the index alone."""
    return (
        sa.select(*jobs.c)
        .where(
            jobs.c.queue == queue,
            jobs.c.organization_id == owner,
            READY,
            jobs.c.memory_bytes <= sa.bindparam("memory"),
            jobs.c.gpus <= sa.bindparam("gpus_most"),
            jobs.c.gpu_memory_bytes <= sa.bindparam("gpu_memory"),
        )
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(share)
        .with_for_update(skip_locked=True)
    )


def _best_of_each(*, by_model: bool) -> sa.Select[*tuple[Any, ...]]:
    """Of many lanes in one statement, as PostgreSQL can."""
    lists: list[Any] = [
        sa.bindparam("queues", type_=postgresql.ARRAY(sa.String)),
        sa.bindparam("owners", type_=postgresql.ARRAY(postgresql.UUID(as_uuid=False))),
    ]
    columns: list[Any] = [sa.column("queue", sa.String), sa.column("owner", Id)]
    if by_model:
        lists.append(sa.bindparam("models", type_=postgresql.ARRAY(sa.String)))
        columns.append(sa.column("model", sa.String))
    asked = sa.func.unnest(*lists).table_valued(*columns, name="asked").render_derived()
    best = _best(asked.c.queue, asked.c.owner, _SHARE)
    best = (best.where(jobs.c.model == asked.c.model) if by_model else best).lateral("best")
    ordered = sa.select(*best.c).select_from(asked.join(best, sa.true()))
    return ordered.order_by(best.c.priority.desc(), best.c.id)


@cache
def _first(count: int) -> Prepared:
    """What :class:`First` says, of so many queues: at least one row. Of a lane with models that the
    worker can not run no jobs are brought along."""
    walk = lane.walk_of(count)
    able = walk.c.model == sa.any_(sa.bindparam("served", type_=postgresql.ARRAY(sa.String)))
    turn = (
        sa.select(
            *(walk.c.queue, walk.c.organization_id, walk.c.served_at),
            sa.func.array_agg(walk.c.model, type_=postgresql.ARRAY(sa.String))
            .filter(walk.c.model.is_not(None))
            .label("models"),
            sa.func.coalesce(sa.func.bool_and(able), sa.true()).label("whole"),
            sa.func.count().over().label("lanes"),
        )
        .group_by(walk.c.queue, walk.c.organization_id, walk.c.served_at)
        .cte("turn")
    )
    share = (sa.bindparam("most", type_=sa.BigInteger) + turn.c.lanes - 1) / turn.c.lanes
    best = _best(turn.c.queue, turn.c.organization_id, share).where(turn.c.whole).lateral("best")
    next_due = sa.select(sa.func.min(jobs.c.available_at).label("due")).where(DELAYED)
    due = next_due.subquery("next_due")
    lanes = (turn.c.queue, turn.c.organization_id, turn.c.models)
    names = ("of_queue", "of_owner", "of_models")
    every = due.outerjoin(turn, sa.true()).outerjoin(best, sa.true())
    return Prepared(
        sa.select(*best.c, due.c.due, *(c.label(n) for c, n in zip(lanes, names, strict=True)))
        .select_from(every)
        .order_by(turn.c.served_at, turn.c.organization_id, turn.c.queue),
        tells_now=True,
    )


_SHARE: Final = sa.bindparam("share", type_=sa.BigInteger)
_NEXT_DUE: Final = Prepared(sa.select(sa.func.min(jobs.c.available_at).label("due")).where(DELAYED))
_LANE: Final = _best(sa.bindparam("the_queue"), sa.bindparam("owner"), _SHARE)
_BEST_OF_LANE: Final = Prepared(_LANE)
_BEST_OF_LANES: Final = Prepared(_best_of_each(by_model=False))
_BEST_OF_MODEL: Final = Prepared(_LANE.where(jobs.c.model == sa.bindparam("the_model")))
_BEST_OF_MODELS: Final = Prepared(_best_of_each(by_model=True))
