"""Who is calling, and whether they may: the dependencies of every route that needs credentials."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

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

    def link(self, artifact_id: str) -> str:
        """An address of the artifact's bytes that is good without a key, for a while."""
        path = f"/api/v1/artifacts/{artifact_id}/content"
        return sign(self.platform.secret, path, self.platform.settings.link_seconds)


def platform_of(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


def address_of(request: Request) -> str | None:
    """Where the request came from, as far as the server knows."""
    client: tuple[str, int] | None = request.scope.get("client")
    return None if client is None else client[0]


async def authenticated(request: Request) -> Call:
    """The caller of this request; refused before a byte of its body is read."""
    platform = platform_of(request)
    headers = request.headers
    caller = await platform.gate.identify(headers.get("x-api-key"), headers.get("authorization"))
    count(platform, caller, request.scope)
    if "\0" in request.scope["path"]:  # no address of ours; and nothing could look it up
        raise NotFound
    return Call(platform, caller, address_of(request), request.scope.get("request_id"))


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
