"""The output of a job's program: as text, or live as server-sent events."""

import codecs
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from usina.http_kit.call import Call, needs
from usina.http_kit.following import Standing
from usina.http_kit.problem import problems
from usina.http_kit.query import Query, Whole, parameters, read_query
from usina.http_kit.sse import (
    COMMENT,
    EVENT_STREAM,
    SILENCE_SECONDS,
    event_stream,
    frame,
    last_event_id,
    wants_event_stream,
)
from usina.kernel.errors import Forbidden, Gone, Unauthorized
from usina.kernel.jobs.log import LogText
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

Reading = Annotated[Call, needs(Permission.JOBS_READ)]

_CHUNK: Final = 64 * 1024
_TEXT: Final = "text/plain; charset=utf-8"


class LogQuery(Query):
    attempt: Whole | None = Field(None, ge=1, description="The last one unless told.")


@dataclass(frozen=True, slots=True)
class _Log:
    """One attempt's log, read in chunks."""

    call: Call
    job_id: str
    attempt: int

    async def read(self, offset: int) -> LogText:
        return await self.call.platform.jobs.log(
            self.call.organization_id, self.job_id, self.attempt, offset, _CHUNK
        )

    async def wait(self, offset: int) -> LogText:
        return await self.call.platform.jobs.wait_log(
            self.call.organization_id, self.job_id, self.attempt, offset, _CHUNK, SILENCE_SECONDS
        )


@router.get(
    "/{job_id}/logs",
    summary="A job's log",
    response_class=Response,
    responses={
        200: {
            "description": "What the program has written so far; or, with"
            " `Accept: text/event-stream`, that and what it still writes.",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                EVENT_STREAM: {
                    "schema": {"type": "string"},
                    "example": 'id: 6\nevent: log\ndata: {"text": "hello\\n"}\n\n',
                },
            },
        },
        204: {"description": "Nothing comes after this offset any more."},
        **problems(401, 403, 404, 410, 422),
    },
    openapi_extra={
        "parameters": [
            *parameters(LogQuery),
            {
                "in": "header",
                "name": "Last-Event-ID",
                "required": False,
                "description": "In a stream: the byte offset to continue from.",
                "schema": {"type": "string"},
            },
        ]
    },
)
async def get_job_log(
    request: Request, job_id: Annotated[str, Path(description="The job's id.")], call: Reading
) -> Response:
    """The output of the last attempt's program, or of the one asked for."""
    attempt = read_query(request, LogQuery).attempt
    live = wants_event_stream(request)
    resumed = last_event_id(request) if live else None
    offset = 0 if resumed is None else _offset(resumed)
    first = await call.platform.jobs.log(call.organization_id, job_id, attempt, offset, _CHUNK)
    log = _Log(call, job_id, first.attempt)
    if not live and len(first.data) < _CHUNK:
        return Response(first.data, media_type=_TEXT)
    if not live:
        return StreamingResponse(_text(log, first), media_type=_TEXT)
    if resumed is not None and first.complete and not first.data:
        return Response(status_code=204)
    return event_stream(_frames(log, first))


def _offset(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise Gone("This is not an offset of a log; start again without one.")


async def _text(log: _Log, part: LogText) -> AsyncGenerator[bytes]:
    """The log up to its present end."""
    while part.data:
        yield part.data
        if part.complete:
            return
        part = await log.read(part.offset + len(part.data))


async def _frames(log: _Log, part: LogText) -> AsyncGenerator[bytes]:
    """The log until no more comes, or the credential has ended. An id never points into the middle
    of a character."""
    standing = Standing(log.call)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        end = part.offset + len(part.data)
        text = decoder.decode(part.data, part.complete)
        if text:
            kept, _ = decoder.getstate()
            yield frame("log", {"text": text}, str(end - len(kept)))
        elif not part.complete:
            yield COMMENT
        if part.complete or log.call.platform.bus.closing:
            return
        part = await log.wait(end)
        try:
            await standing.check()
        except (Unauthorized, Forbidden):
            return
