"""API keys as their owners see them: made, listed, revoked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import FieldError, Forbidden, Invalid, NotFound
from usina.kernel.ids import is_id, new_id
from usina.kernel.page import Page
from usina.kernel.tenancy.audit import Actor, record
from usina.kernel.tenancy.caller import Caller, owned_by
from usina.kernel.tenancy.key import NewKey, generate_key
from usina.kernel.tenancy.permission import EVERYTHING, SCOPES, Permission, Role, through
from usina.kernel.tenancy.person import names_of
from usina.kernel.tenancy.table import api_keys
from usina.kernel.text import refuse_nul

Also = Callable[[Transaction, "ApiKey"], None]
"""What must be written together with a new key, such as its idempotency record."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. ``created_by`` is its person's name, null for nobody's."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key to be."""

    name: str
    scopes: tuple[str, ...] = (EVERYTHING,)
    expires_at: datetime | None = None


class ApiKeys:
    """The service; ``changed`` is called after a key has died."""

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        self._database = database
        self._changed = changed

    async def create(
        self, caller: Caller, wanted: Wanted, actor: Actor, also: Also | None = None
    ) -> tuple[ApiKey, str]:
        """The key and its secret, which is known only now.

        A person's key is that person's; one that a key without a person makes has that one's role.
        """
        check_wanted(wanted)
        refuse_wider(caller, wanted.scopes)
        key = generate_key()

        def unit(tx: Transaction) -> ApiKey:
            if wanted.expires_at is not None and wanted.expires_at <= tx.now:
                raise Invalid.at("/expires_at", "This moment has passed.")
            role = caller.role if caller.user_id is None else None
            maker = caller.user_id
            made = insert_key(tx, caller.organization_id, wanted, key, maker, role, actor)
            made = replace(made, created_by=None if maker is None else caller.name)
            if also is not None:
                also(tx, made)
            return made

        return await self._database.write(unit, tenant=caller.organization_id), key.text

    async def list(self, caller: Caller, after: str | None, limit: int) -> Page[ApiKey]:
        """Those that are not revoked, newest first."""

        def unit(tx: Transaction) -> list[ApiKey]:
            query = sa.select(api_keys).where(*_visible(caller))
            if after is not None:
                query = query.where(api_keys.c.id < after)
            rows = tx.execute(query.order_by(api_keys.c.id.desc()).limit(limit + 1)).all()
            return [_key(row, row.user_id, row.last_used_at) for row in rows]

        found = await self._database.read(unit, tenant=caller.organization_id)
        makers = [key.created_by for key in found if key.created_by is not None]
        names = await names_of(self._database, makers)
        shown = [replace(key, created_by=names.get(key.created_by or "")) for key in found[:limit]]
        return Page(tuple(shown), shown[-1].id if len(found) > limit else None)

    async def revoke(self, caller: Caller, key_id: str, actor: Actor) -> None:
        if not is_id(key_id):
            raise NotFound

        def unit(tx: Transaction) -> None:
            which = (api_keys.c.id == key_id, *_visible(caller))
            row = tx.execute(sa.select(api_keys).where(*which).with_for_update()).one_or_none()
            if row is None:
                raise NotFound
            tx.execute(sa.update(api_keys).where(*which).values(revoked_at=tx.now))
            before = {"name": row.name, "prefix": row.prefix}
            subject = "api_key", key_id
            record(tx, caller.organization_id, actor, "api_key.revoked", subject, before)

        await self._database.write(unit, tenant=caller.organization_id)
        self._changed()


def refuse_wider(caller: Caller, scopes: Sequence[str]) -> None:
    """Raises ``Forbidden`` where a scope would let through what the caller may not."""
    if EVERYTHING in scopes:
        if EVERYTHING not in caller.scopes:
            raise _too_wide(EVERYTHING)
        return
    for scope in scopes:
        if not through([scope]) <= caller.permissions:
            raise _too_wide(scope)


def insert_key(
    tx: Transaction,
    organization_id: str,
    wanted: Wanted,
    key: NewKey,
    user_id: str | None,
    role: Role | None,
    actor: Actor,
) -> ApiKey:
    """The new key, made by nobody so far; it has a person or a role."""
    row: dict[str, Any] = {
        "id": new_id(),
        "organization_id": organization_id,
        "user_id": user_id,
        "role": None if role is None else role.value,
        "name": wanted.name,
        "prefix": key.prefix,
        "secret_sha256": key.sha256,
        "scopes": list(wanted.scopes),
        "expires_at": wanted.expires_at,
        "created_at": tx.now,
    }
    tx.execute(sa.insert(api_keys), row)
    after = {"name": wanted.name, "prefix": key.prefix, "scopes": list(wanted.scopes)}
    record(tx, organization_id, actor, "api_key.created", ("api_key", row["id"]), after=after)
    scopes = tuple(wanted.scopes)
    return ApiKey(row["id"], wanted.name, key.prefix, scopes, None, tx.now, wanted.expires_at, None)


def _visible(caller: Caller) -> list[sa.ColumnElement[bool]]:
    """One's own, and with ``organization:admin`` everybody's."""
    found = [owned_by(caller.organization_id, api_keys), api_keys.c.revoked_at.is_(None)]
    if not caller.may(Permission.ORGANIZATION_ADMIN):
        own = api_keys.c.id == caller.key_id
        found.append(own if caller.user_id is None else api_keys.c.user_id == caller.user_id)
    return found


def check_wanted(wanted: Wanted) -> None:
    """Raises ``Invalid`` where it can be no key."""
    if not 1 <= len(wanted.name.strip()) <= 200:
        raise Invalid.at("/name", "The name of a key has 1 to 200 characters.")
    refuse_nul(wanted.name, "/name")
    if not wanted.scopes:
        raise Invalid.at("/scopes", "A key without a scope may nothing; name one, or leave it out.")
    wrong = [
        FieldError(f"/scopes/{place}", f"There is no such scope; there are {', '.join(SCOPES)}.")
        for place, scope in enumerate(wanted.scopes)
        if scope not in SCOPES
    ]
    if wrong:
        raise Invalid(wrong[0].message, errors=wrong)


def _too_wide(scope: str) -> Forbidden:
    return Forbidden(
        f"Your own role and scopes do not give {scope}, so no key of yours can have it.",
        code="scope_too_wide",
    )


def _key(row: sa.Row[Any], created_by: str | None, last_used_at: datetime | None) -> ApiKey:
    scopes = tuple(row.scopes)
    made, end = row.created_at, row.expires_at
    return ApiKey(row.id, row.name, row.prefix, scopes, created_by, made, end, last_used_at)
