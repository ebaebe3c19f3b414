"""The audit log of an organization."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from usina.http_kit.call import Call, needs
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import Moment, parameters, read_query
from usina.http_kit.reply import json_response
from usina.kernel.clock import rfc3339
from usina.kernel.tenancy.audit import ActorType, AuditFilter, Entry
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/audit", tags=["identity"])

Reading = Annotated[Call, needs(Permission.AUDIT_READ)]


class AuditQuery(PageQuery):
    action: str | None = Field(None, description="Changes of this kind, `api_key.created` for one.")
    actor: str | None = Field(None, description="By this person or key: its id.")
    subject_type: str | None = Field(None, description="Of this kind of thing.")
    subject_id: str | None = Field(None, description="Of the thing of this id.")
    after: Moment | None = Field(None, description="RFC 3339, with its offset.")
    before: Moment | None = Field(None, description="RFC 3339, with its offset.")


class ActorDocument(BaseModel):
    type: ActorType
    id: str | None = Field(description="Of the key, else of the person.")
    name: str


class SubjectDocument(BaseModel):
    type: str
    id: str | None


class EntryDocument(BaseModel):
    """One change."""

    id: str
    at: datetime
    actor: ActorDocument
    action: str
    subject: SubjectDocument
    before: dict[str, Any] | None = Field(description="What was there, as far as it matters.")
    after: dict[str, Any] | None = Field(description="What is there now.")
    ip: str | None
    request_id: str | None


@router.get(
    "",
    summary="The organization's audit log",
    response_model=PageDocument[EntryDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(AuditQuery)},
)
async def list_audit(request: Request, call: Reading) -> Response:
    """Who changed what, newest first, narrowed by every given filter at once."""
    query = read_query(request, AuditQuery)
    wanted = AuditFilter(
        query.action,
        query.actor,
        query.subject_type,
        query.subject_id,
        query.after,
        query.before,
    )
    after = decode_cursor("audit", query.cursor)
    page = await call.platform.audit.list(call.organization_id, wanted, after, query.limit)
    return json_response(answer_page("audit", page, _document))


def _document(entry: Entry) -> dict[str, Any]:
    actor = entry.actor
    return {
        "id": entry.id,
        "at": rfc3339(entry.at),
        "actor": {"type": actor.type, "id": actor.key_id or actor.user_id, "name": actor.name},
        "action": entry.action,
        "subject": {"type": entry.subject_type, "id": entry.subject_id},
        "before": entry.before,
        "after": entry.after,
        "ip": actor.ip,
        "request_id": actor.request_id,
    }
