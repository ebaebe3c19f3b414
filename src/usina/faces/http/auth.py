"""Persons: register, log in, refresh, log out, change a password; who one is."""

from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from usina.http_kit.body import json_body, read_json
from usina.http_kit.call import Called, address_of, platform_of
from usina.http_kit.problem import problems
from usina.http_kit.reply import json_response
from usina.kernel.clock import rfc3339
from usina.kernel.errors import Invalid
from usina.kernel.platform import Platform
from usina.kernel.tenancy.account import Grant, Identity, Registering
from usina.kernel.tenancy.audit import Actor, ActorType
from usina.kernel.tenancy.key import key_sha256
from usina.kernel.tenancy.permission import Permission, Role
from usina.kernel.tenancy.person import comparable

router = APIRouter(prefix="/api/v1/auth", tags=["identity"])

_MOST_BYTES: Final = 16 * 1024
_NO_STORE: Final = {"cache-control": "no-store"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Registration(_Body):
    """Exactly one of `organization` and `invitation` is given."""

    email: str = Field(json_schema_extra={"format": "email"})
    password: str = Field(json_schema_extra={"minLength": 8, "maxLength": 256})
    organization: str | None = Field(None, description="The name of a new one.")
    invitation: str | None = Field(None, description="The token of an invitation.")


class Login(_Body):
    """Exactly one of `email` and `username` is given."""

    email: str | None = None
    username: str | None = None
    password: str
    organization: str | None = Field(None, description="The id of one of several.")


class Refresh(_Body):
    refresh_token: str


class PasswordChange(_Body):
    current_password: str
    new_password: str = Field(json_schema_extra={"minLength": 8, "maxLength": 256})


class GrantDocument(BaseModel):
    access_token: str = Field(description="A JWT, for `Authorization: Bearer`.")
    token_type: Literal["bearer"]
    expires_in: int = Field(description="Seconds that the access token is good.")
    refresh_token: str = Field(description="Good once.")


class OrganizationNameDocument(BaseModel):
    id: str
    name: str


class CallingKeyDocument(BaseModel):
    id: str
    name: str
    prefix: str
    scopes: list[str]
    expires_at: str | None


class IdentityDocument(BaseModel):
    """Who a caller is."""

    id: str | None = Field(description="The person's; null of a key that is nobody's.")
    email: str | None
    username: str | None
    role: Role
    organization: OrganizationNameDocument
    permissions: list[str]
    operator: bool = Field(description="Whether it may steer the platform itself.")
    api_key: CallingKeyDocument | None


_REGISTRATION: Final = TypeAdapter(Registration)
_LOGIN: Final = TypeAdapter(Login)
_REFRESH: Final = TypeAdapter(Refresh)
_PASSWORD: Final = TypeAdapter(PasswordChange)


@router.post(
    "/register",
    summary="Register",
    status_code=201,
    response_model=IdentityDocument,
    responses=problems(400, 403, 409, 413, 415, 422, 429),
    openapi_extra={"security": [], **json_body(Registration)},
)
async def register(request: Request) -> Response:
    """A new person, owner of a new organization or a member of the one that invited."""
    platform = platform_of(request)
    await _attempt(request, platform)
    wanted, _ = await read_json(request, _REGISTRATION, _MOST_BYTES)
    if (wanted.organization is None) == (wanted.invitation is None):
        raise Invalid.at("/organization", "Give a name for a new organization, or an invitation.")
    asked = Registering(wanted.email, wanted.password, wanted.organization, wanted.invitation)
    made = await platform.accounts.register(asked, _nobody(request))
    return json_response(identity_document(made), 201)


@router.post(
    "/login",
    summary="Log in",
    response_model=GrantDocument,
    responses=problems(400, 401, 413, 415, 422, 429),
    openapi_extra={"security": [], **json_body(Login)},
)
async def log_in(request: Request) -> Response:
    """A pair of tokens; whatever is wrong answers the same after the same time."""
    platform = platform_of(request)
    wanted, _ = await read_json(request, _LOGIN, _MOST_BYTES)
    if (wanted.email is None) == (wanted.username is None):
        raise Invalid.at("/email", "Give an email or a username, and not both.")
    name = wanted.email or wanted.username or ""
    await _attempt(request, platform, comparable(name))
    granted = await platform.accounts.login(
        name, wanted.password, wanted.organization, _nobody(request)
    )
    return _grant_response(granted)


@router.post(
    "/refresh",
    summary="Refresh an access token",
    response_model=GrantDocument,
    responses=problems(400, 401, 413, 415, 422),
    openapi_extra={"security": [], **json_body(Refresh)},
)
async def refresh(request: Request) -> Response:
    """A new pair; one that was used before ends the session for whoever holds it."""
    asked, _ = await read_json(request, _REFRESH, _MOST_BYTES)
    accounts = platform_of(request).accounts
    return _grant_response(await accounts.refresh(asked.refresh_token, _nobody(request)))


@router.post("/logout", summary="Log out", status_code=204, responses=problems(401, 409))
async def log_out(call: Called) -> Response:
    """The session of the access token ends, with all its tokens."""
    await call.platform.accounts.logout(call.caller, call.actor)
    return Response(status_code=204)


@router.put(
    "/password",
    summary="Change one's password",
    status_code=204,
    responses=problems(400, 401, 409, 413, 415, 422, 429),
    openapi_extra=json_body(PasswordChange),
)
async def change_password(request: Request, call: Called) -> Response:
    """Every other session of the person ends."""
    asked, _ = await read_json(request, _PASSWORD, _MOST_BYTES)
    await _attempt(request, call.platform, call.caller.name)
    await call.platform.accounts.change_password(
        call.caller, asked.current_password, asked.new_password, call.actor
    )
    return Response(status_code=204)


@router.get("/me", summary="Who one is", response_model=IdentityDocument, responses=problems(401))
async def get_me(call: Called) -> Response:
    """The person or key that calls, its organization, and what it may."""
    found = await call.platform.accounts.describe(call.caller)
    return json_response(identity_document(found))


def identity_document(who: Identity) -> dict[str, Any]:
    """The identity as clients see it (:class:`IdentityDocument`)."""
    key = who.key
    return {
        "id": who.user_id,
        "email": who.username if who.username and "@" in who.username else None,
        "username": who.username,
        "role": who.role,
        "organization": {"id": who.organization_id, "name": who.organization},
        "permissions": sorted(who.permissions),
        "operator": Permission.PLATFORM_OPERATE in who.permissions,
        "api_key": key
        and {
            "id": key.id,
            "name": key.name,
            "prefix": key.prefix,
            "scopes": list(key.scopes),
            "expires_at": key.expires_at and rfc3339(key.expires_at),
        },
    }


async def _attempt(request: Request, platform: Platform, account: str | None = None) -> None:
    """Counts the attempt against its address, and its account where there is one."""
    known = None if account is None else key_sha256(account)
    await platform.attempts.count(address_of(request), known)


def _nobody(request: Request) -> Actor:
    request_id: str | None = request.scope.get("request_id")
    return Actor(ActorType.NOBODY, ip=address_of(request), request_id=request_id)


def _grant_response(granted: Grant) -> Response:
    document = {
        "access_token": granted.access_token,
        "token_type": "bearer",
        "expires_in": granted.expires_in,
        "refresh_token": granted.refresh_token,
    }
    return json_response(document, 200, _NO_STORE)
