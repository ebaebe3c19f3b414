"""Who is calling, and whether they may: the dependencies of every route that needs credentials."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.types import Scope

from usina.http_kit.links import sign
from usina.http_kit.rate import count
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound
from usina.kernel.platform import Platform
from usina.kernel.tenancy.audit import Actor, Note, Values, record
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.permission import Permission


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request: the platform and who asks it for something."""

    platform: Platform
    caller: Caller
    address: str | None = None
    request_id: str | None = None
    credential: tuple[str | None, str | None] = field(default=(None, None), repr=False)
    """What it came with: a key, and an `Authorization`."""

    @property
    def organization_id(self) -> str:
        return self.caller.organization_id

    @property
    def actor(self) -> Actor:
        """The caller as the audit log names it."""
        return Actor.of(self.caller, self.address, self.request_id)

    def note(
        self,
        action: str,
        subject: tuple[str, str | None],
        before: Values | None = None,
        after: Values | None = None,
    ) -> Note:
        """What tells the audit log of a change by this caller, in the change's transaction."""

        def tell(tx: Transaction) -> None:
            record(tx, self.organization_id, self.actor, action, subject, before, after)

        return tell

    async def check(self, permission: Permission) -> None:
        """Raises ``Unauthorized`` once the credential is no longer good, and ``Forbidden`` once it
        does not give the permission any more: for calls that last."""
        (await self.platform.gate.identify(*self.credential)).require(permission)

    def link(self, artifact_id: str) -> str:
        """An address of the artifact's bytes that is good without a key, for a while."""
        path = f"/api/v1/artifacts/{artifact_id}/content"
        return sign(self.platform.secret, path, self.platform.settings.link_seconds)


def platform_of(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


def address_of(request: Request) -> str | None:
    """Where the request came from, as far as the server knows."""
    return _address(request.scope)


def _address(scope: Scope) -> str | None:
    client: tuple[str, int] | None = scope.get("client")
    return None if client is None else client[0]


async def call_with(
    platform: Platform, api_key: str | None, authorization: str | None, scope: Scope
) -> Call:
    """The call of whoever has this key or token, counted; raises ``Unauthorized`` and ``TooMany``.

    Of the scope only ``client`` and ``request_id`` are looked at, and headers to come told to it.
    """
    caller = await platform.gate.identify(api_key, authorization)
    count(platform, caller, scope)
    credential = api_key, authorization
    return Call(platform, caller, _address(scope), scope.get("request_id"), credential)


async def authenticated(request: Request) -> Call:
    """The caller of this request; refused before a byte of its body is read."""
    headers = request.headers
    platform, scope = platform_of(request), request.scope
    call = await call_with(platform, headers.get("x-api-key"), headers.get("authorization"), scope)
    if "\0" in scope["path"]:  # no address of ours; and nothing could look it up
        raise NotFound
    return call


async def permitted(request: Request, permission: Permission) -> Call:
    """The same of a caller that has the permission; others are refused with 403."""
    call = await authenticated(request)
    call.caller.require(permission)
    return call


@dataclass(frozen=True, slots=True)
class Needed:
    """The dependency of a route that needs a permission."""

    permission: Permission

    async def __call__(self, request: Request) -> Call:
        return await permitted(request, self.permission)


def needs(permission: Permission) -> Any:
    """``Annotated[Call, needs(Permission.JOBS_READ)]``: how a route asks for a permission."""
    return Depends(Needed(permission))


Called = Annotated[Call, Depends(authenticated)]
"""Of a route that whoever is known may use."""
Platformed = Annotated[Platform, Depends(platform_of)]
