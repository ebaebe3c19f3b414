"""Persons, API keys, the organization and its audit log."""

from collections.abc import Sequence
from datetime import datetime

from usina_client._identity import (
    ApiKey,
    AuditEntry,
    Identity,
    NewApiKey,
    Organization,
    Quotas,
    Retention,
    Tokens,
)
from usina_client._model import (
    Page,
)
from usina_client._request import API, Request, get, idempotent, path_to, post, query_of

from .connection import AsyncConnection
from .pager import AsyncPager


class AsyncAuth:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def register(
        self,
        email: str,
        password: str,
        *,
        organization: str | None = None,
        invitation: str | None = None,
    ) -> Identity:
        """A new person, with a new organization or by an invitation."""
        whose = {"organization": organization} if invitation is None else {"invitation": invitation}
        body = {"email": email, "password": password, **whose}
        request = Request(method="POST", path=f"{API}/auth/register", json=body)
        return await self._connection.fetch(request, Identity)

    async def login(
        self, email: str, password: str, *, organization_id: str | None = None
    ) -> Tokens:
        """A pair of tokens; give the access token to a client as its `token`."""
        body: dict[str, str] = {"username": email, "password": password}
        if organization_id is not None:
            body["organization"] = organization_id
        request = Request(method="POST", path=f"{API}/auth/login", json=body)
        return await self._connection.fetch(request, Tokens)

    async def refresh(self, refresh_token: str) -> Tokens:
        """The next pair. A refresh token is good once: shown twice, it ends its session."""
        body = {"refresh_token": refresh_token}
        request = Request(method="POST", path=f"{API}/auth/refresh", json=body)
        return await self._connection.fetch(request, Tokens)

    async def logout(self) -> None:
        """End the session of the client's token."""
        await self._connection.send(post(f"{API}/auth/logout"))

    async def change_password(self, current: str, new: str) -> None:
        """Every other session of the person ends."""
        body = {"current_password": current, "new_password": new}
        await self._connection.send(Request(method="PUT", path=f"{API}/auth/password", json=body))

    async def me(self) -> Identity:
        """Who the client is, and what it may."""
        return await self._connection.fetch(get(f"{API}/auth/me"), Identity)


class AsyncApiKeys:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> AsyncPager[ApiKey]:
        """One's own, newest first; an administrator's everybody's."""
        query = query_of(limit=limit)
        return AsyncPager(self._connection, f"{API}/api-keys", query, Page[ApiKey])

    async def create(
        self,
        name: str,
        *,
        scopes: Sequence[str] = ("all",),
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> NewApiKey:
        """The key with its secret, which is shown only now."""
        body = {
            "name": name,
            "scopes": list(scopes),
            "expires_at": None if expires_at is None else expires_at.isoformat(),
        }
        request = Request(
            method="POST",
            path=f"{API}/api-keys",
            json=body,
            headers=idempotent(idempotency_key),
        )
        return await self._connection.fetch(request, NewApiKey)

    async def revoke(self, key_id: str) -> None:
        """It is refused from now on."""
        await self._connection.send(Request(method="DELETE", path=path_to("api-keys", key_id)))


class AsyncOrganizations:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def current(self) -> Organization:
        """That of who calls: its name, quotas, use and retention."""
        return await self._connection.fetch(get(f"{API}/organizations/current"), Organization)

    async def update(
        self,
        *,
        name: str | None = None,
        quotas: Quotas | None = None,
        retention: Retention | None = None,
    ) -> Organization:
        """What is null stays as it is; quotas and retention are replaced whole."""
        body = {
            "name": name,
            "quotas": None if quotas is None else quotas.model_dump(),
            "retention": None if retention is None else retention.model_dump(),
        }
        given = {field: value for field, value in body.items() if value is not None}
        request = Request(
            method="PUT", path=f"{API}/organizations/current", json=given, repeatable=True
        )
        return await self._connection.fetch(request, Organization)


class AsyncAudit:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def list(
        self,
        *,
        action: str | None = None,
        actor: str | None = None,
        subject_type: str | None = None,
        subject_id: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncPager[AuditEntry]:
        """Who changed what, newest first; `actor` is the id of a person or a key."""
        query = query_of(
            action=action,
            actor=actor,
            subject_type=subject_type,
            subject_id=subject_id,
            after=after,
            before=before,
            limit=limit,
        )
        return AsyncPager(self._connection, f"{API}/audit", query, Page[AuditEntry])
