"""The gate: which caller a credential stands for, remembered for a few seconds.

Every window asks here, HTTP, gRPC and WebSocket alike. What is remembered may be too old by
``_CACHE_SECONDS`` at most; a change of keys, members or sessions says :meth:`Gate.forget` here and,
over the bus, in the other processes, and is known at once wherever that is heard.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
import structlog

from usina.kernel.db.prepared import Prepared
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Unauthorized
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.key import key_sha256
from usina.kernel.tenancy.permission import EVERYTHING, Role, permissions_of
from usina.kernel.tenancy.table import api_keys, memberships, organizations, sessions, users
from usina.kernel.tenancy.token import Claims, Tokens, looks_like_token

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_CACHE_SECONDS: Final = 5.0
_CACHE_CALLERS: Final = 10_000
_LONGEST_KEY: Final = 1024
_USE_NOTED: Final = timedelta(seconds=50)
"""With what is remembered, a last use is never more than a minute behind."""
_BEARER: Final = "bearer "

FIRST_ORGANIZATION: Final = (
    sa.select(organizations.c.id).order_by(organizations.c.created_at, organizations.c.id).limit(1)
)
_OF_MEMBER: Final = sa.and_(
    memberships.c.organization_id == api_keys.c.organization_id,
    memberships.c.user_id == api_keys.c.user_id,
)
_KEY: Final = Prepared(
    sa.select(
        api_keys.c.id,
        api_keys.c.organization_id,
        api_keys.c.user_id,
        api_keys.c.name,
        api_keys.c.scopes,
        api_keys.c.expires_at,
        api_keys.c.last_used_at,
        sa.func.coalesce(memberships.c.role, api_keys.c.role).label("role"),
        (api_keys.c.organization_id == FIRST_ORGANIZATION.scalar_subquery()).label("first"),
    )
    .select_from(api_keys.outerjoin(memberships, _OF_MEMBER))
    .where(
        api_keys.c.secret_sha256 == sa.bindparam("sha256", type_=sa.String),
        api_keys.c.revoked_at.is_(None),
        sa.or_(api_keys.c.user_id.is_(None), memberships.c.role.is_not(None)),
    )
)
_SESSION: Final = Prepared(
    sa.select(
        sessions.c.id,
        sessions.c.organization_id,
        sessions.c.user_id,
        users.c.username.label("name"),
        sessions.c.expires_at,
        memberships.c.role,
        (sessions.c.organization_id == FIRST_ORGANIZATION.scalar_subquery()).label("first"),
    )
    .join_from(sessions, users, users.c.id == sessions.c.user_id)
    .join(
        memberships,
        sa.and_(
            memberships.c.organization_id == sessions.c.organization_id,
            memberships.c.user_id == sessions.c.user_id,
        ),
    )
    .where(
        sessions.c.id == sa.bindparam("session_id", type_=sessions.c.id.type),
        sessions.c.user_id == sa.bindparam("user_id", type_=users.c.id.type),
        sessions.c.organization_id
        == sa.bindparam("organization_id", type_=organizations.c.id.type),
        sessions.c.revoked_at.is_(None),
    )
)


class Gate:
    """Tells callers by their keys and tokens; without ``tokens`` there are only keys."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Caller]] = {}
        self._forgotten = 0
        self._used: set[str] = set()
        self._noting: asyncio.Task[None] | None = None

    async def identify(self, api_key: str | None, authorization: str | None) -> Caller:
        """The caller of a request with this ``x-api-key`` and this ``Authorization``.

        A key beside a token is the one that counts. Raises ``Unauthorized``.
        """
        if api_key:
            caller = await self.by_key(api_key)
            if caller is None:
                raise Unauthorized("This API key is not known, has expired or was revoked.")
            return caller
        if not authorization:
            raise Unauthorized(
                "Send an API key in the x-api-key header, or a token as Authorization: Bearer."
            )
        if not authorization[: len(_BEARER)].lower() == _BEARER:
            raise Unauthorized("Of the Authorization header only the scheme Bearer is understood.")
        return await self.identify_bearer(authorization[len(_BEARER) :].strip())

    async def identify_bearer(self, text: str) -> Caller:
        """The caller of an access token, or of a key that is sent as one."""
        if looks_like_token(text):
            caller = await self.by_token(text)
            if caller is None:
                raise Unauthorized(
                    "This token is not valid, has expired, or its session has ended: log in again,"
                    " or refresh it."
                )
            return caller
        caller = await self.by_key(text)
        if caller is None:
            raise Unauthorized("This is no token of this platform, and no API key either.")
        return caller

    async def by_key(self, api_key: str) -> Caller | None:
        """The caller that a live key stands for; null for an unknown, expired or revoked one."""
        if (caller := self._remembered(api_key)) is not None:
            return caller
        if len(api_key) > _LONGEST_KEY:
            return None
        when = self._forgotten
        sha256 = key_sha256(api_key)
        caller, seconds, stale = await self._database.read(lambda tx: _caller_by_key(tx, sha256))
        if caller is not None and caller.key_id is not None and stale:
            self._note_use(caller.key_id)
        return self._remember(api_key, caller, seconds, when)

    async def by_token(self, text: str) -> Caller | None:
        """The caller of an access token whose session lives; null for any other text."""
        if (caller := self._remembered(text)) is not None:
            return caller
        claims = None if self._tokens is None else self._tokens.read(text)
        if claims is None or self._tokens is None:
            return None
        when = self._forgotten
        caller, seconds = await self._database.read(lambda tx: _caller_by_session(tx, claims))
        return self._remember(text, caller, min(seconds, self._tokens.seconds_left(claims)), when)

    def forget(self) -> None:
        """From now on everybody is looked up anew; also who is being looked up just now."""
        self._forgotten += 1
        self._known.clear()

    async def stop(self) -> None:
        """Once the uses that were seen are written."""
        if self._noting is not None:
            await self._noting

    def _note_use(self, key_id: str) -> None:
        """The key's last use is written beside the request, and with those of others."""
        self._used.add(key_id)
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._note_uses())

    async def _note_uses(self) -> None:
        while self._used:
            used, self._used = sorted(self._used), set()
            try:
                await self._database.write(lambda tx, ids=used: _set_used(tx, ids))
            except Exception as error:
                _log.warning("the last use of keys was not written", error=repr(error))

    def _remembered(self, credential: str) -> Caller | None:
        entry = self._known.get(credential)
        return entry[1] if entry and entry[0] > self._monotonic() else None

    def _remember(
        self, credential: str, caller: Caller | None, seconds: float, when: int
    ) -> Caller | None:
        if caller is not None and when == self._forgotten:
            if len(self._known) >= _CACHE_CALLERS:
                self._known.clear()
            self._known[credential] = (self._monotonic() + min(seconds, _CACHE_SECONDS), caller)
        return caller


def _caller_by_key(tx: Transaction, sha256: str) -> tuple[Caller | None, float, bool]:
    """The caller, for how many seconds that holds at most, and whether its last use is old news."""
    found = _KEY.all(tx, {"sha256": sha256})
    if not found or (left := _seconds_left(tx, found[0].expires_at)) <= 0:
        return None, 0.0, False
    row = found[0]
    stale = row.last_used_at is None or tx.now - row.last_used_at > _USE_NOTED
    return _caller(row, tuple(row.scopes), key_id=row.id), left, stale


def _set_used(tx: Transaction, key_ids: Sequence[str]) -> None:
    for key_id in key_ids:
        tx.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=tx.now))


def _caller_by_session(tx: Transaction, claims: Claims) -> tuple[Caller | None, float]:
    wanted = {
        "session_id": claims.session_id,
        "user_id": claims.user_id,
        "organization_id": claims.organization_id,
    }
    found = _SESSION.all(tx, wanted)
    if not found or (left := _seconds_left(tx, found[0].expires_at)) <= 0:
        return None, 0.0
    return _caller(found[0], (EVERYTHING,), session_id=found[0].id), left


def _caller(
    row: Any, scopes: tuple[str, ...], *, key_id: str | None = None, session_id: str | None = None
) -> Caller:
    role = Role(row.role)
    return Caller(
        organization_id=row.organization_id,
        key_id=key_id,
        user_id=row.user_id,
        session_id=session_id,
        name=row.name,
        role=role,
        scopes=scopes,
        permissions=permissions_of(role, scopes, first=bool(row.first)),
    )


def _seconds_left(tx: Transaction, end: datetime | None) -> float:
    return _CACHE_SECONDS if end is None else (end - tx.now).total_seconds()
