"""Members of an organization: who they are, what they are, and how they cease to be."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from usina.kernel.db.turn import take_turns
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.ids import is_id
from usina.kernel.page import Page
from usina.kernel.tenancy.audit import Actor, record
from usina.kernel.tenancy.caller import Caller, owned_by
from usina.kernel.tenancy.invitation import refuse_more_than_own
from usina.kernel.tenancy.permission import Permission, Role
from usina.kernel.tenancy.person import names_of
from usina.kernel.tenancy.session import end_sessions
from usina.kernel.tenancy.table import api_keys, memberships, sessions


@dataclass(frozen=True, slots=True)
class Member:
    """A person in an organization; ``joined_at`` is null for who was there before it was kept."""

    id: str
    email: str
    role: Role
    joined_at: datetime | None


class Members:
    """The service; ``changed`` is called after somebody is less than before."""

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        self._database = database
        self._changed = changed

    async def list(self, organization_id: str, after: str | None, limit: int) -> Page[Member]:
        """Newest first, by when they became known to the platform."""
        query = sa.select(memberships).where(owned_by(organization_id, memberships))
        if after is not None:
            query = query.where(memberships.c.user_id < after)
        query = query.order_by(memberships.c.user_id.desc()).limit(limit + 1)
        rows = await self._database.read(lambda tx: tx.execute(query).all(), tenant=organization_id)
        names = await names_of(self._database, [row.user_id for row in rows[:limit]])
        found = [_member(row, names[row.user_id]) for row in rows[:limit]]
        return Page(tuple(found), found[-1].id if len(rows) > limit else None)

    async def set_role(self, caller: Caller, user_id: str, role: Role, actor: Actor) -> Member:
        """Only owners make owners, or make less of one; the last one stays."""
        refuse_more_than_own(caller, role)

        def unit(tx: Transaction) -> Member:
            row = _locked(tx, caller.organization_id, user_id)
            refuse_more_than_own(caller, Role(row.role))
            if role is not Role.OWNER:
                _keep_an_owner(tx, row)
            changed = sa.update(memberships).where(*_whom(caller.organization_id, user_id))
            tx.execute(changed.values(role=role.value))
            before, after = {"role": row.role}, {"role": role.value}
            subject = "member", user_id
            record(tx, row.organization_id, actor, "member.role_changed", subject, before, after)
            return replace(_member(row, ""), role=role)

        made = await self._database.write(unit, tenant=caller.organization_id)
        self._changed()
        return replace(made, email=(await names_of(self._database, [user_id]))[user_id])

    async def remove(self, caller: Caller, user_id: str, actor: Actor) -> None:
        """The membership ends, and with it the person's sessions and keys here.

        Oneself may always go, by an access token; others need ``organization:admin``.
        """
        leaves = caller.user_id == user_id and caller.session_id is not None
        if not leaves:
            caller.require(Permission.ORGANIZATION_ADMIN)

        def unit(tx: Transaction) -> None:
            row = _locked(tx, caller.organization_id, user_id)
            if not leaves:
                refuse_more_than_own(caller, Role(row.role))
            _keep_an_owner(tx, row)
            tx.execute(sa.delete(memberships).where(*_whom(caller.organization_id, user_id)))
            here = owned_by(caller.organization_id, sessions), sessions.c.user_id == user_id
            end_sessions(tx, *here)
            keys = sa.update(api_keys).where(
                owned_by(caller.organization_id, api_keys),
                api_keys.c.user_id == user_id,
                api_keys.c.revoked_at.is_(None),
            )
            revoked = tx.execute(keys.values(revoked_at=tx.now)).rowcount
            before = {"role": row.role, "api_keys": revoked}
            action = "member.left" if leaves else "member.removed"
            record(tx, row.organization_id, actor, action, ("member", user_id), before)

        await self._database.write(unit, tenant=caller.organization_id)
        self._changed()


def _locked(tx: Transaction, organization_id: str, user_id: str) -> sa.Row[Any]:
    """The membership, while nobody else changes one of the organization."""
    if not is_id(user_id):
        raise NotFound
    take_turns(tx, [f"members {organization_id}"])
    found = sa.select(memberships).where(*_whom(organization_id, user_id))
    row = tx.execute(found).one_or_none()
    if row is None:
        raise NotFound
    return row


def _keep_an_owner(tx: Transaction, leaving: sa.Row[Any]) -> None:
    """Raises ``Conflict`` (``last_owner``) where nobody else is one."""
    if leaving.role != Role.OWNER.value:
        return
    others = sa.select(sa.func.count()).where(
        owned_by(leaving.organization_id, memberships),
        memberships.c.role == Role.OWNER.value,
        memberships.c.user_id != leaving.user_id,
    )
    if not tx.execute(others).scalar_one():
        raise Conflict(
            "This is the last owner: make another member an owner first.", code="last_owner"
        )


def _whom(organization_id: str, user_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return owned_by(organization_id, memberships), memberships.c.user_id == user_id


def _member(row: sa.Row[Any], email: str) -> Member:
    return Member(row.user_id, email, Role(row.role), row.created_at)
