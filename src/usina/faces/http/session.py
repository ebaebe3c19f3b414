"""The sessions of who calls: where one is logged in, and ending that."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from usina.faces.http.auth import OrganizationNameDocument
from usina.http_kit.call import Called
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import json_response
from usina.kernel.clock import rfc3339
from usina.kernel.tenancy.session import OpenSession

router = APIRouter(prefix="/api/v1/auth/sessions", tags=["identity"])

SessionId = Annotated[
    str, Path(description="The session's id.", json_schema_extra={"format": "uuid"})
]


class SessionDocument(BaseModel):
    """One login and all that was refreshed from it."""

    id: str
    organization: OrganizationNameDocument = Field(description="Where it is a member's.")
    created_at: datetime
    refreshed_at: datetime = Field(description="When it took its newest access token.")
    expires_at: datetime
    ip: str | None = Field(description="Where the login came from; null of an old one.")
    current: bool = Field(description="Whether it is the one that asks.")


@router.get(
    "",
    summary="List one's sessions",
    response_model=PageDocument[SessionDocument],
    responses=problems(401, 409, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_sessions(request: Request, call: Called) -> Response:
    """Those that live, in whatever organization."""
    query = read_query(request, PageQuery)
    after = decode_cursor("sessions", query.cursor)
    page = await call.platform.accounts.sessions(call.caller, after, query.limit)
    mine = call.caller.session_id
    return json_response(answer_page("sessions", page, lambda one: _document(one, mine)))


@router.delete(
    "/{session_id}", summary="End a session", status_code=204, responses=problems(401, 404, 409)
)
async def end_session(session_id: SessionId, call: Called) -> Response:
    """Its tokens are refused from now on, in every process."""
    await call.platform.accounts.close_session(call.caller, session_id, call.actor)
    return Response(status_code=204)


def _document(one: OpenSession, current: str | None) -> dict[str, Any]:
    return {
        "id": one.id,
        "organization": {"id": one.organization_id, "name": one.organization},
        "created_at": rfc3339(one.created_at),
        "refreshed_at": rfc3339(one.refreshed_at),
        "expires_at": rfc3339(one.expires_at),
        "ip": one.ip,
        "current": one.id == current,
    }
