"""The event log: as a list, or live as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any, Final
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from usina.http_kit.call import Call, needs
from usina.http_kit.event import EventDocument, event_document, hint_document
from usina.http_kit.following import Start, following, start_of
from usina.http_kit.paging import PageDocument, PageQuery, page_document
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import json_response
from usina.http_kit.sse import (
    COMMENT,
    EVENT_STREAM,
    event_stream,
    frame,
    last_event_id,
    wants_event_stream,
)
from usina.kernel.errors import Forbidden, Unauthorized
from usina.kernel.events.event import Event, Hint
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1", tags=["events"])

Reading = Annotated[Call, needs(Permission.JOBS_READ)]

_made: WeakKeyDictionary[Event | Hint, bytes] = WeakKeyDictionary()
_RESUME: Final = {
    "in": "header",
    "name": "Last-Event-ID",
    "required": False,
    "description": "In a stream: continue after this event.",
    "schema": {"type": "string"},
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A page, oldest first; or with `Accept: text/event-stream` a stream.",
        "content": {
            EVENT_STREAM: {
                "schema": {"type": "string"},
                "example": 'id: M2Y5\nevent: job.running\ndata: {"seq": 2, "data": {}}\n\n',
            }
        },
    }
}


@router.get(
    "/events",
    summary="The organization's events",
    response_model=PageDocument[EventDocument],
    responses=_ANSWERS | problems(401, 403, 410, 422),
    openapi_extra={"parameters": [*parameters(PageQuery), _RESUME]},
)
async def list_events(request: Request, call: Reading) -> Response:
    """As a list it starts with the oldest event, as a stream now; both go on after a cursor."""
    return await _events(request, call, None)


@router.get(
    "/jobs/{job_id}/events",
    summary="A job's events",
    response_model=PageDocument[EventDocument],
    responses={
        **_ANSWERS,
        204: {"description": "Nothing comes after this cursor any more."},
        **problems(401, 403, 404, 410, 422),
    },
    openapi_extra={"parameters": [*parameters(PageQuery), _RESUME]},
)
async def list_job_events(
    request: Request, job_id: Annotated[str, Path(description="The job's id.")], call: Reading
) -> Response:
    """From the first event on; a stream ends after the job's last one."""
    return await _events(request, call, job_id)


async def _events(request: Request, call: Call, job_id: str | None) -> Response:
    query = read_query(request, PageQuery)
    if not wants_event_stream(request):
        return await _page(call, job_id, query)
    start = await start_of(call, job_id, last_event_id(request) or query.cursor)
    if start.over:
        return Response(status_code=204)
    return event_stream(_frames(call, job_id, start))


async def _page(call: Call, job_id: str | None, query: PageQuery) -> Response:
    log, owner = call.platform.events, call.organization_id
    if job_id is not None:
        await call.platform.jobs.get(owner, job_id)
    epoch = await log.epoch()
    after = None if query.cursor is None else await log.after(owner, query.cursor)
    events = await log.list(owner, job_id, after, query.limit + 1)
    shown = [event_document(event, epoch, call.link) for event in events[: query.limit]]
    more = shown[-1]["id"] if len(events) > query.limit else None
    return json_response(page_document(shown, more))


async def _frames(call: Call, job_id: str | None, start: Start) -> AsyncGenerator[bytes]:
    """Every event and hint as a frame; a comment in each silence. It ends with the credential."""
    async with aclosing(following(call, "sse", job_id, start.after)) as items:
        with suppress(Unauthorized, Forbidden):
            async for item in items:
                yield _frame(item, start.epoch, call)


def _frame(item: Event | Hint | None, epoch: str, call: Call) -> bytes:
    """Made once for all who are told of the same event here."""
    if item is None:
        return COMMENT
    made = _made.get(item)
    if made is None:
        made = _made[item] = _new_frame(item, epoch, call)
    return made


def _new_frame(item: Event | Hint, epoch: str, call: Call) -> bytes:
    if isinstance(item, Hint):
        return frame(item.type, hint_document(item))
    document = event_document(item, epoch, call.link)
    return frame(item.type, document, document["id"])
