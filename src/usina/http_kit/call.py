"""Who is calling: the one dependency of every route that needs credentials."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from usina.http_kit.links import sign
from usina.kernel.errors import Forbidden, NotFound, Unauthorized
from usina.kernel.platform import Platform
from usina.kernel.tenancy.caller import Caller


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated request: the platform and who asks it for something."""

    platform: Platform
    caller: Caller

    @property
    def organization_id(self) -> str:
        return self.caller.organization_id

    def link(self, artifact_id: str) -> str:
        """An address of the artifact's bytes that is good without a key, for a while."""
        path = f"/api/v1/artifacts/{artifact_id}/content"
        return sign(self.platform.secret, path, self.platform.settings.link_seconds)


def platform_of(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


async def authenticated(request: Request) -> Call:
    """The caller of this request; refused before a byte of its body is read."""
    key = request.headers.get("x-api-key")
    if not key:
        raise Unauthorized("Send an API key in the x-api-key header.")
    platform = platform_of(request)
    caller = await platform.tenancy.authenticate(key)
    if caller is None:
        raise Unauthorized("This API key is not known, has expired or was revoked.")
    if "\0" in request.scope["path"]:  # no address of ours; and nothing could look it up
        raise NotFound
    return Call(platform, caller)


Called = Annotated[Call, Depends(authenticated)]


async def operating(call: Called) -> Call:
    """The caller of a request that steers what belongs to the platform."""
    if not call.caller.operator:
        raise Forbidden(
            "Workers and queues belong to the platform: use a key of its first organization."
        )
    return call


Operating = Annotated[Call, Depends(operating)]
Platformed = Annotated[Platform, Depends(platform_of)]
