"""Appending to the log and reading it back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.prepared import Prepared
from usina.kernel.db.schema import moment
from usina.kernel.db.turn import take_turns
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.event import Event
from usina.kernel.events.outbox import put
from usina.kernel.events.table import events
from usina.kernel.tenancy.caller import owned_by


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be; ``seq`` was given by the job's row, under its lock."""

    organization_id: str
    job_id: str | None
    seq: int | None
    type: str
    data: Mapping[str, Any]
    callback_url: str | None = None
    """Who is told outside, besides those who read the log."""


Announce = Callable[[Sequence[NewEvent]], None]
"""Tells the bus, on the event loop, after the commit."""

_INSERT: Final = Prepared(
    sa.insert(events).values(at=moment("known_now")),
    ("organization_id", "job_id", "seq", "type", "data"),
)

_LAST_OF_POSTGRES: Final = sa.text(
    "SELECT pg_sequence_last_value(pg_get_serial_sequence('events', 'position')::regclass)"
)
_LAST_OF_SQLITE: Final = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'events'")


def append(tx: Transaction, new: Sequence[NewEvent], announce: Announce) -> None:
    """Adds the events to the log in this transaction and announces them after its commit.

    From here to its end the transaction has the turn of the organizations that it tells of. A
    position is given in that turn, so an organization's positions are in the order of its commits,
    and who has read up to one of them has missed none.
    """
    if not new:
        return
    take_turns(tx, {turn_of(event.organization_id) for event in new})
    _INSERT.run_many(
        tx,
        [
            {
                "organization_id": event.organization_id,
                "job_id": event.job_id,
                "seq": event.seq,
                "type": event.type,
                "known_now": tx.known_now,
                "data": event.data,
            }
            for event in new
        ],
    )
    put(tx, new)
    tx.after_commit(lambda: announce(new))


def turn_of(organization_id: str) -> str:
    """The name of the turn that who appends to the organization's log has."""
    return f"log of {organization_id}"


def read_after(
    tx: Transaction, organization_id: str, job_id: str | None, after: int | None, limit: int
) -> list[Event]:
    """At most ``limit`` events after a position, oldest first."""
    query = sa.select(events).where(owned_by(organization_id, events))
    if job_id is not None:
        query = query.where(events.c.job_id == job_id).order_by(events.c.seq)
    else:
        query = query.order_by(events.c.position)
    if after is not None:
        query = query.where(events.c.position > after)
    return [_event(row) for row in tx.execute(query.limit(limit))]


def last_position(tx: Transaction, organization_id: str) -> int:
    """The position of the organization's newest event; 0 where there is none."""
    newest = sa.select(sa.func.max(events.c.position)).where(owned_by(organization_id, events))
    return tx.execute(newest).scalar_one() or 0


def positions(
    tx: Transaction, organization_id: str, named: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """Where events are that are named by their job and their ``seq``, as far as they are there."""
    query = sa.select(events.c.job_id, events.c.seq, events.c.position).where(
        owned_by(organization_id, events),
        sa.tuple_(events.c.job_id, events.c.seq).in_(named),
    )
    return {(row.job_id, row.seq): row.position for row in tx.execute(query)}


def newest_ever(tx: Transaction) -> int:
    """At least the position of every event that was ever written here, whoever's."""
    if tx.connection.dialect.name == "postgresql":
        return tx.execute(_LAST_OF_POSTGRES).scalar_one() or 0
    return tx.execute(_LAST_OF_SQLITE).scalar_one_or_none() or 0


def forget_before(tx: Transaction, moment: datetime, limit: int, of: str | None = None) -> int:
    """Deletes old events that belong to no job, of one organization or of all; a job's own go with
    the job."""
    whose = sa.true() if of is None else owned_by(of, events)
    old = (
        sa.select(events.c.position)
        .where(events.c.job_id.is_(None), events.c.at < moment, whose)
        .order_by(events.c.position)
        .limit(limit)
    )
    return tx.execute(sa.delete(events).where(events.c.position.in_(old))).rowcount


def forget_jobs(tx: Transaction, job_ids: Sequence[str]) -> None:
    if job_ids:
        tx.execute(sa.delete(events).where(events.c.job_id.in_(job_ids)))


def _event(row: sa.Row[Any]) -> Event:
    return Event(row.position, row.organization_id, row.job_id, row.seq, row.type, row.at, row.data)
