"""Server-sent events: frames as bytes, and the response that sends them.

A frame is made when the client has taken the one before, so a slow client costs no memory; one
that takes nothing for a while is let go, and resumes with the last id it saw.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog
from sse_starlette import EventSourceResponse
from starlette.requests import Request

from usina.http_kit.reply import json_bytes
from usina.kernel.errors import Unavailable

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
EVENT_STREAM: Final = "text/event-stream"
COMMENT: Final = b": still here\n\n"
SILENCE_SECONDS: Final = 15.0


def frame(kind: str, document: object, last_id: str | None = None) -> bytes:
    """One event; without an id a client keeps the one it has."""
    head = f"event: {kind}\n" if last_id is None else f"id: {last_id}\nevent: {kind}\n"
    return head.encode() + b"data: " + json_bytes(document) + b"\n\n"


def event_stream(frames: AsyncGenerator[bytes]) -> EventSourceResponse:
    """The frames as a response; it ends with them, or when the client or the server leaves, or
    when what the frames are made from is away: a client comes back with the last id it saw."""
    return EventSourceResponse(_while_there(frames), ping=0, sep="\n")


async def _while_there(frames: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(frames):
        try:
            async for one in frames:
                yield one
        except Unavailable as error:
            _log.warning("a stream ends early", reason=error.detail)


def wants_event_stream(request: Request) -> bool:
    """Whether the client asks for a stream by its Accept header."""
    accepted = request.headers.get("accept", "")
    return any(
        kind.partition(";")[0].strip().lower() == EVENT_STREAM for kind in accepted.split(",")
    )


def last_event_id(request: Request) -> str | None:
    """Where a client that comes back stopped; null when it comes for the first time."""
    return request.headers.get("last-event-id") or None
