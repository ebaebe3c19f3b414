"""Members of an organization, and invitations to become one."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from usina.faces.http.auth import IdentityDocument, identity_document
from usina.http_kit.body import json_body, read_json
from usina.http_kit.call import Call, Called, needs
from usina.http_kit.idempotent import KEY_PARAMETER, fingerprint, once
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.clock import rfc3339
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.tenancy.invitation import Invitation
from usina.kernel.tenancy.member import Member
from usina.kernel.tenancy.permission import Permission, Role

router = APIRouter(prefix="/api/v1", tags=["identity"])

Reading = Annotated[Call, needs(Permission.ORGANIZATION_READ)]
Administering = Annotated[Call, needs(Permission.ORGANIZATION_ADMIN)]

_MOST_BYTES: Final = 16 * 1024
MemberId = Annotated[
    str, Path(description="The person's id.", json_schema_extra={"format": "uuid"})
]
InvitationId = Annotated[
    str, Path(description="The invitation's id.", json_schema_extra={"format": "uuid"})
]


RoleName = Literal["viewer", "member", "admin", "owner"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RoleChange(_Body):
    role: RoleName


class InvitationRequest(_Body):
    """Somebody to become a member."""

    role: RoleName
    email: str | None = Field(None, description="Good for this address alone.")


class Acceptance(_Body):
    token: str


class MemberDocument(BaseModel):
    id: str = Field(description="The person's.")
    email: str
    role: Role
    joined_at: datetime | None


class InvitationDocument(BaseModel):
    """An invitation that is open."""

    id: str
    role: Role
    email: str | None
    invited_by: str
    created_at: datetime
    expires_at: datetime


class NewInvitationDocument(InvitationDocument):
    token: str = Field(description="To register or to accept with; shown only now.")


_ROLE: Final = TypeAdapter(RoleChange)
_INVITATION: Final = TypeAdapter(InvitationRequest)
_ACCEPTANCE: Final = TypeAdapter(Acceptance)


@router.get(
    "/members",
    summary="List members",
    response_model=PageDocument[MemberDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_members(request: Request, call: Reading) -> Response:
    """The organization's persons, newest first."""
    query = read_query(request, PageQuery)
    after = decode_cursor("members", query.cursor)
    page = await call.platform.members.list(call.organization_id, after, query.limit)
    return json_response(answer_page("members", page, _member))


@router.put(
    "/members/{member_id}",
    summary="Change a member's role",
    response_model=MemberDocument,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422),
    openapi_extra=json_body(RoleChange),
)
async def change_role(request: Request, member_id: MemberId, call: Administering) -> Response:
    """It holds from the next request on. Only owners make and unmake owners."""
    wanted, _ = await read_json(request, _ROLE, _MOST_BYTES)
    members = call.platform.members
    changed = await members.set_role(call.caller, member_id, Role(wanted.role), call.actor)
    return json_response(_member(changed))


@router.delete(
    "/members/{member_id}",
    summary="Remove a member, or leave",
    status_code=204,
    responses=problems(401, 403, 404, 409),
)
async def remove_member(member_id: MemberId, call: Called) -> Response:
    """The membership ends, with its sessions and keys."""
    await call.platform.members.remove(call.caller, member_id, call.actor)
    return Response(status_code=204)


@router.get(
    "/invitations",
    summary="List open invitations",
    response_model=PageDocument[InvitationDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_invitations(request: Request, call: Administering) -> Response:
    """Newest first."""
    query = read_query(request, PageQuery)
    after = decode_cursor("invitations", query.cursor)
    page = await call.platform.invitations.list(call.organization_id, after, query.limit)
    return json_response(answer_page("invitations", page, _invitation))


@router.post(
    "/invitations",
    summary="Invite somebody",
    status_code=201,
    response_model=NewInvitationDocument,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
    openapi_extra={"parameters": [KEY_PARAMETER], **json_body(InvitationRequest)},
)
async def invite(request: Request, call: Administering) -> Response:
    """The answer shows the token, a replay of it does not; no mail is sent."""
    with once(request, call) as asked:
        wanted, body = await read_json(request, _INVITATION, _MOST_BYTES)
        if (replay := await asked.replay(fingerprint(body))) is not None:
            return replay

        def keep(tx: Transaction, made: Invitation) -> None:
            asked.record(tx, json_answer(_invitation(made), 201))

        made, token = await call.platform.invitations.create(
            call.caller, Role(wanted.role), wanted.email, call.actor, keep
        )
        shown = _invitation(made) | {"token": token}
        return answer_response(json_answer(shown, 201, {"cache-control": "no-store"}))


@router.post(
    "/invitations/accept",
    summary="Accept an invitation",
    response_model=IdentityDocument,
    responses=problems(400, 401, 409, 413, 415, 422),
    openapi_extra=json_body(Acceptance),
)
async def accept_invitation(request: Request, call: Called) -> Response:
    """Who is logged in becomes a member there too, and logs in there by its `organization`."""
    wanted, _ = await read_json(request, _ACCEPTANCE, _MOST_BYTES)
    joined = await call.platform.accounts.accept(call.caller, wanted.token, call.actor)
    return json_response(identity_document(joined))


@router.delete(
    "/invitations/{invitation_id}",
    summary="Take an invitation back",
    status_code=204,
    responses=problems(401, 403, 404),
)
async def revoke_invitation(invitation_id: InvitationId, call: Administering) -> Response:
    """Its token is good for nothing any more."""
    invitations = call.platform.invitations
    await invitations.revoke(call.organization_id, invitation_id, call.actor)
    return Response(status_code=204)


def _member(member: Member) -> dict[str, Any]:
    return {
        "id": member.id,
        "email": member.email,
        "role": member.role,
        "joined_at": member.joined_at and rfc3339(member.joined_at),
    }


def _invitation(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "role": invitation.role,
        "email": invitation.email,
        "invited_by": invitation.invited_by,
        "created_at": rfc3339(invitation.created_at),
        "expires_at": rfc3339(invitation.expires_at),
    }
