"""Invitations: how a person becomes a member of an organization that is there already.

Of the token only its SHA-256 is kept; it is good once.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from usina.kernel.ids import is_id, new_id
from usina.kernel.page import Page
from usina.kernel.tenancy.audit import Actor, record
from usina.kernel.tenancy.caller import Caller, owned_by
from usina.kernel.tenancy.permission import Role
from usina.kernel.tenancy.person import checked_email, join
from usina.kernel.tenancy.table import invitations

_MARK: Final = "usina_invitation_"

Also = Callable[[Transaction, "Invitation"], None]


@dataclass(frozen=True, slots=True)
class Invitation:
    """One that is open, or was."""

    id: str
    organization_id: str
    role: Role
    email: str | None
    invited_by: str
    created_at: datetime
    expires_at: datetime


class Invitations:
    def __init__(self, database: Database, kept_for: timedelta) -> None:
        self._database = database
        self._kept_for = kept_for

    async def create(
        self, caller: Caller, role: Role, email: str | None, actor: Actor, also: Also | None = None
    ) -> tuple[Invitation, str]:
        """The invitation and its token, which is known only now."""
        refuse_more_than_own(caller, role)
        email = None if email is None else checked_email(email, "/email")
        token = _MARK + secrets.token_hex(32)

        def unit(tx: Transaction) -> Invitation:
            row: dict[str, Any] = {
                "id": new_id(),
                "organization_id": caller.organization_id,
                "email": email,
                "role": role.value,
                "token_sha256": _sha256(token),
                "invited_by": caller.name,
                "created_at": tx.now,
                "expires_at": tx.now + self._kept_for,
            }
            tx.execute(sa.insert(invitations), row)
            after = {"role": role.value, "email": email}
            subject = "invitation", row["id"]
            record(tx, caller.organization_id, actor, "invitation.created", subject, after=after)
            whose, end = caller.organization_id, row["expires_at"]
            made = Invitation(row["id"], whose, role, email, caller.name, tx.now, end)
            if also is not None:
                also(tx, made)
            return made

        return await self._database.write(unit, tenant=caller.organization_id), token

    async def list(self, organization_id: str, after: str | None, limit: int) -> Page[Invitation]:
        """Those that are open, newest first."""

        def unit(tx: Transaction) -> list[Invitation]:
            query = sa.select(invitations).where(owned_by(organization_id, invitations), _open(tx))
            if after is not None:
                query = query.where(invitations.c.id < after)
            query = query.order_by(invitations.c.id.desc()).limit(limit + 1)
            return [_invitation(row) for row in tx.execute(query)]

        found = await self._database.read(unit, tenant=organization_id)
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    async def revoke(self, organization_id: str, invitation_id: str, actor: Actor) -> None:
        if not is_id(invitation_id):
            raise NotFound

        def unit(tx: Transaction) -> None:
            which = (
                invitations.c.id == invitation_id,
                owned_by(organization_id, invitations),
                _open(tx),
            )
            if not tx.execute(
                sa.update(invitations).where(*which).values(revoked_at=tx.now)
            ).rowcount:
                raise NotFound
            subject = "invitation", invitation_id
            record(tx, organization_id, actor, "invitation.revoked", subject)

        await self._database.write(unit, tenant=organization_id)


def accept(tx: Transaction, token: str, user_id: str, username: str, actor: Actor) -> Invitation:
    """Makes the person a member; of two that show one token at once, one does.

    Raises ``Invalid`` (``invitation_invalid``) and ``Conflict`` (``member_already``).
    """
    row = tx.execute(
        sa.select(invitations)
        .where(invitations.c.token_sha256 == _sha256(token), _open(tx))
        .with_for_update()
    ).one_or_none()
    if row is None or (row.email is not None and row.email != username):
        raise Invalid.at(
            "/token",
            "This invitation is not known, was used or revoked, is over, or is somebody else's.",
            code="invitation_invalid",
        )
    role = Role(row.role)
    if not join(tx, row.organization_id, user_id, username, role, actor, row.id):
        raise Conflict("You are a member of this organization already.", code="member_already")
    used = sa.update(invitations).where(invitations.c.id == row.id)
    tx.execute(used.values(accepted_at=tx.now, accepted_by=user_id))
    return _invitation(row)


def refuse_more_than_own(caller: Caller, role: Role) -> None:
    """Raises ``Forbidden`` for a role above the caller's."""
    if role.rank > caller.role.rank:
        raise Forbidden(
            f"Your role is {caller.role.value}: it takes an {role.value} to make an {role.value}.",
            code="scope_too_wide",
        )


def _open(tx: Transaction) -> sa.ColumnElement[bool]:
    return sa.and_(
        invitations.c.accepted_at.is_(None),
        invitations.c.revoked_at.is_(None),
        invitations.c.expires_at > tx.now,
    )


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _invitation(row: sa.Row[Any]) -> Invitation:
    role, by = Role(row.role), row.invited_by
    whose, made, end = row.organization_id, row.created_at, row.expires_at
    return Invitation(row.id, whose, role, row.email, by, made, end)
