"""Sessions: one login and all that is refreshed from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound
from usina.kernel.ids import new_id
from usina.kernel.tenancy.audit import Actor, record
from usina.kernel.tenancy.table import memberships, organizations, sessions

_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Session:
    """``generation`` is the number of its newest refresh token."""

    id: str
    organization_id: str
    user_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as its person sees it; ``ip`` is where its login came from."""

    id: str
    organization_id: str
    organization: str
    created_at: datetime
    refreshed_at: datetime
    expires_at: datetime
    ip: str | None


class Reused(Exception):
    """The refresh token was used before; what is written because of it stays written."""


def open_session(
    tx: Transaction, organization_id: str, user_id: str, lasts: timedelta, actor: Actor
) -> Session:
    made = Session(new_id(), organization_id, user_id, 1)
    row = {
        "id": made.id,
        "organization_id": organization_id,
        "user_id": user_id,
        "generation": made.generation,
        "created_at": tx.now,
        "refreshed_at": tx.now,
        "expires_at": tx.now + lasts,
        "ip": actor.ip,
    }
    tx.execute(sa.insert(sessions), row)
    record(tx, organization_id, actor, "session.opened", ("session", made.id))
    return made


def refresh_session(
    tx: Transaction, session_id: str, generation: int, actor: Actor
) -> Session | Reused | None:
    """The session with its next number; null where it is over or its member is none any more.

    A number that is not the newest ends the session: either its holder or somebody else has used it
    before. That is answered and not raised, since it has to be committed.
    """
    row = tx.execute(
        sa.select(sessions)
        .join(
            memberships,
            sa.and_(
                memberships.c.organization_id == sessions.c.organization_id,
                memberships.c.user_id == sessions.c.user_id,
            ),
        )
        .where(
            sessions.c.id == session_id,
            sessions.c.revoked_at.is_(None),
            sessions.c.expires_at > tx.now,
        )
        .with_for_update(of=sessions)
    ).one_or_none()
    if row is None:
        return None
    this = sa.update(sessions).where(sessions.c.id == session_id)
    if row.generation != generation:
        tx.execute(this.values(revoked_at=tx.now))
        subject = "session", session_id
        after = {"reason": "a refresh token was used twice"}
        record(tx, row.organization_id, actor, "session.revoked", subject, after=after)
        return Reused()
    tx.execute(this.values(generation=generation + 1, refreshed_at=tx.now))
    return Session(session_id, row.organization_id, row.user_id, generation + 1)


def open_sessions(
    tx: Transaction, user_id: str, after: str | None, limit: int
) -> list[OpenSession]:
    """At most ``limit`` of a person's, in whatever organization, older than ``after``."""
    query = (
        sa.select(
            sessions.c.id,
            sessions.c.organization_id,
            organizations.c.name,
            sessions.c.created_at,
            sessions.c.refreshed_at,
            sessions.c.expires_at,
            sessions.c.ip,
        )
        .join(organizations, organizations.c.id == sessions.c.organization_id)
        .where(*_open_of(tx, user_id))
    )
    if after is not None:
        query = query.where(sessions.c.id < after)
    rows = tx.execute(query.order_by(sessions.c.id.desc()).limit(limit))
    return [OpenSession(*row) for row in rows]


def close_session(tx: Transaction, user_id: str, session_id: str, actor: Actor) -> None:
    """Ends one of the person's own, and tells the organization that it was of.

    Raises ``NotFound``.
    """
    which = sessions.c.id == session_id, *_open_of(tx, user_id)
    of = tx.execute(sa.select(sessions.c.organization_id).where(*which)).scalar_one_or_none()
    if of is None or not end_sessions(tx, *which):
        raise NotFound
    record(tx, of, actor, "session.closed", ("session", session_id))


def _open_of(tx: Transaction, user_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    living = sessions.c.revoked_at.is_(None), sessions.c.expires_at > tx.now
    return sessions.c.user_id == user_id, *living


def end_sessions(tx: Transaction, *which: sa.ColumnElement[bool]) -> int:
    """Revokes those that live and fit."""
    living = sa.update(sessions).where(sessions.c.revoked_at.is_(None), *which)
    return tx.execute(living.values(revoked_at=tx.now)).rowcount


def forget_over(tx: Transaction) -> int:
    """Deletes a batch of those whose tokens are all over; returns how many."""
    over = sa.select(sessions.c.id).where(sessions.c.expires_at < tx.now).limit(_BATCH)
    over = over.with_for_update(skip_locked=True)
    return tx.execute(sa.delete(sessions).where(sessions.c.id.in_(over))).rowcount
