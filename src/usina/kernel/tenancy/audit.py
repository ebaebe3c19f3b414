"""The audit log: who changed what, written in the transaction of the change and never changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.ids import is_id, new_id
from usina.kernel.page import Page
from usina.kernel.tenancy.caller import Caller, owned_by
from usina.kernel.tenancy.table import audit
from usina.kernel.text import without_nul

_LONGEST_NAME: Final = 320


class ActorType(StrEnum):
    PERSON = "person"
    KEY = "key"
    COMMAND = "command"
    """On the machine of the platform, beside its API."""
    NOBODY = "nobody"
    """Without a credential: who registers, or shows a token that is not good."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and by which request."""

    type: ActorType
    name: str = ""
    user_id: str | None = None
    key_id: str | None = None
    ip: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, caller: Caller, ip: str | None, request_id: str | None) -> "Actor":
        kind = ActorType.PERSON if caller.key_id is None else ActorType.KEY
        return cls(kind, caller.name, caller.user_id, caller.key_id, ip, request_id)


Note = Callable[[Transaction], None]
"""What a change calls in its own transaction, to be told of in the log."""


def unnoted(tx: Transaction) -> None:
    """Of a change that nobody asked for, or that is told of elsewhere."""


COMMAND: Final = Actor(ActorType.COMMAND, "usina admin")
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One change."""

    id: str
    at: datetime
    actor: Actor
    action: str
    subject_type: str
    subject_id: str | None
    before: Values | None
    after: Values | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Every given part must fit; ``actor`` is the id of a person or a key."""

    action: str | None = None
    actor: str | None = None
    subject_type: str | None = None
    subject_id: str | None = None
    after: datetime | None = None
    before: datetime | None = None


def record(
    tx: Transaction,
    organization_id: str,
    actor: Actor,
    action: str,
    subject: tuple[str, str | None],
    before: Values | None = None,
    after: Values | None = None,
) -> None:
    """Writes a change into the log if, and only if, this transaction commits.

    ``subject`` is a type and an id. ``before`` and ``after`` hold what changed, never a secret.
    """
    row: dict[str, Any] = {
        "id": new_id(),
        "organization_id": organization_id,
        "at": tx.now,
        "actor": actor.type.value,
        "user_id": actor.user_id,
        "key_id": actor.key_id,
        "actor_name": without_nul(actor.name)[:_LONGEST_NAME],
        "action": action,
        "subject_type": subject[0],
        "subject_id": subject[1],
        "before": None if before is None else dict(before),
        "after": None if after is None else dict(after),
        "ip": actor.ip,
        "request_id": actor.request_id,
    }
    tx.execute(sa.insert(audit), row)


class AuditLog:
    """The log as an organization reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, organization_id: str, wanted: AuditFilter, after: str | None, limit: int
    ) -> Page[Entry]:
        """Newest first."""
        query = sa.select(audit).where(owned_by(organization_id, audit), *_conditions(wanted))
        if after is not None:
            query = query.where(audit.c.id < after)
        query = query.order_by(audit.c.id.desc()).limit(limit + 1)
        found = await self._database.read(
            lambda tx: [_entry(row) for row in tx.execute(query)], tenant=organization_id
        )
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)


def _conditions(wanted: AuditFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    for column, value in (
        (audit.c.action, wanted.action),
        (audit.c.subject_type, wanted.subject_type),
        (audit.c.subject_id, wanted.subject_id),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.actor is not None:
        known = is_id(wanted.actor)
        by = sa.or_(audit.c.user_id == wanted.actor, audit.c.key_id == wanted.actor)
        found.append(by if known else sa.false())
    if wanted.after is not None:
        found.append(audit.c.at > wanted.after)
    if wanted.before is not None:
        found.append(audit.c.at < wanted.before)
    return found


def _entry(row: sa.Row[Any]) -> Entry:
    actor = Actor(
        ActorType(row.actor), row.actor_name, row.user_id, row.key_id, row.ip, row.request_id
    )
    subject = row.subject_type, row.subject_id
    return Entry(row.id, row.at, actor, row.action, *subject, row.before, row.after)
