"""The WebSocket: the organization's log, message by message, resumable by cursor.

The token is in the query (``?token=``), a header, or better in the first message; it is taken out
of the address before anybody could log that.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import structlog
from starlette.types import Message, Receive, Scope, Send

from usina.faces.http.command import (
    EVERYTHING,
    Authenticate,
    Command,
    Ping,
    Subscribe,
    read_command,
)
from usina.faces.http.dress import Dresser
from usina.http_kit.call import Call, call_with
from usina.http_kit.following import Start, following, start_of
from usina.http_kit.problem import unknown_fields
from usina.http_kit.reply import json_bytes
from usina.kernel.errors import FieldError, Invalid, Problem, Unauthorized, UnsupportedMedia
from usina.kernel.events import cursor
from usina.kernel.events.event import Event
from usina.kernel.ids import request_id
from usina.kernel.platform import Platform
from usina.kernel.tenancy.permission import Permission

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_AUTHENTICATE_SECONDS: Final = 10.0
_LEAVING: Final = 1012
_CLOSE_CODES: Final[Mapping[int, int]] = {
    400: 4000,
    401: 4001,
    403: 4003,
    404: 4004,
    410: 4010,
    415: 1003,
    422: 4000,
    429: 4029,
    503: 1013,
}
_PARAMETERS: Final = ("token", "cursor")


class _Left(Exception):
    """The client is gone."""


class LiveSocket:
    """The endpoint, an ASGI application of its own."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._dresser = Dresser()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _Session(self._platform, self._dresser, receive, send).run(scope)


class _Session:
    """One connection, from its handshake to its end."""

    def __init__(self, platform: Platform, dresser: Dresser, receive: Receive, send: Send) -> None:
        self._platform = platform
        self._dresser = dresser
        self._receive = receive
        self._send = send
        self._wanted = EVERYTHING
        self._code = 0

    async def run(self, scope: Scope) -> None:
        began = time.perf_counter()
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        own_id = scope["request_id"] = request_id(headers.get("x-request-id"))
        structlog.contextvars.bind_contextvars(request_id=own_id)
        query = _taken_query(scope)
        try:
            await self._receive()
            await self._send({"type": "websocket.accept"})
            await self._serve(scope, headers, query)
        except _Left:
            pass
        except Problem as problem:
            await self._refuse(problem)
        except Exception:
            _log.exception("websocket failed", path=scope["path"])
            await self._refuse(Problem("Something went wrong here; the log has it."))
        finally:
            seconds = round(time.perf_counter() - began, 6)
            _log.info("websocket", path=scope["path"], code=self._code, seconds=seconds)

    async def _serve(
        self, scope: Scope, headers: Mapping[str, str], query: Mapping[str, str] | Problem
    ) -> None:
        if isinstance(query, Problem):
            raise query
        token, resumed = _token(headers, query), query.get("cursor")
        if token is None:
            asked = await self._first_message()
            token, resumed = asked.token, asked.cursor or resumed
        call = await call_with(self._platform, None, f"Bearer {token}", scope)
        call.caller.require(Permission.JOBS_READ)
        start = await start_of(call, None, resumed)
        await self._say(
            "connection_established",
            organization_id=call.organization_id,
            cursor=cursor.encode(start.epoch, start.after or 0),
        )
        await self._live(call, start)

    async def _first_message(self) -> Authenticate:
        refusal = Unauthorized('Send {"type": "auth", "token": "..."} first, within ten seconds.')
        try:
            async with asyncio.timeout(_AUTHENTICATE_SECONDS):
                command = read_command(await self._text())
        except (TimeoutError, Invalid, UnsupportedMedia):
            raise refusal from None
        if not isinstance(command, Authenticate):
            raise refusal
        return command

    async def _live(self, call: Call, start: Start) -> None:
        """Tells events until somebody leaves, and does meanwhile what the client asks for."""
        self._telling = asyncio.create_task(self._tell(call, start))
        try:
            while True:
                text = await self._text()
                try:
                    await self._obey(read_command(text), call)
                except Problem as problem:
                    await self._say("error", code=problem.code, detail=problem.detail)
        finally:
            await self._stop_telling()

    async def _obey(self, command: Command, call: Call) -> None:
        match command:
            case Ping():
                await self._say("pong")
            case Subscribe():
                await self._subscribe(command, call)
            case Authenticate():
                raise Invalid("This connection is authenticated already.")

    async def _subscribe(self, command: Subscribe, call: Call) -> None:
        """From now on only this is told; with a cursor anew from there, and nothing in between."""
        for job_id in command.jobs or ():
            await call.platform.jobs.get(call.organization_id, job_id)
        start = None if command.cursor is None else await start_of(call, None, command.cursor)
        if start is not None:
            await self._stop_telling()
        self._wanted = command
        await self._say("subscription_confirmed", jobs=command.jobs, types=command.types)
        if start is not None:
            self._telling = asyncio.create_task(self._tell(call, start))

    async def _stop_telling(self) -> None:
        self._telling.cancel()
        await asyncio.wait([self._telling])

    async def _tell(self, call: Call, start: Start) -> None:
        try:
            await self._tell_events(call, start)
            await self._close(_LEAVING, "leaving")
        except Problem as problem:
            await self._refuse(problem)
        except Exception:
            _log.exception("websocket failed")
            await self._refuse(Problem("Something went wrong here; the log has it."))

    async def _tell_events(self, call: Call, start: Start) -> None:
        send, dresser, epoch, at = self._send, self._dresser, start.epoch, start.after or 0
        async with aclosing(following(call, "websocket", None, start.after)) as items:
            async for item in items:
                if isinstance(item, Event):
                    at = item.position
                    if self._wanted.covers(item):
                        text = dresser.made(item) or await dresser.message(item, epoch, call)
                        if self._wanted.covers(item):  # another may have been confirmed meanwhile
                            await send({"type": "websocket.send", "text": text})
                elif item is None:
                    await self._say("heartbeat", cursor=cursor.encode(epoch, at))

    async def _text(self) -> str:
        """The next message; raises ``UnsupportedMedia`` for a binary one."""
        message: Message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._code = self._code or message.get("code") or 1005
            raise _Left
        text: str | None = message.get("text")
        if text is None:
            raise UnsupportedMedia("Messages are JSON in text frames.")
        return text

    async def _say(self, kind: str, **fields: Any) -> None:
        told = {"type": kind, **fields, "timestamp": int(time.time())}
        await self._send({"type": "websocket.send", "text": json_bytes(told).decode()})

    async def _refuse(self, problem: Problem) -> None:
        with suppress(Exception):  # it may be gone by now
            await self._say("error", code=problem.code, detail=problem.detail)
        await self._close(_CLOSE_CODES.get(problem.status, 1011), problem.code)

    async def _close(self, code: int, reason: str) -> None:
        self._code = self._code or code
        with suppress(Exception):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


def _taken_query(scope: Scope) -> Mapping[str, str] | Problem:
    """The query, of which only what is no secret stays in the scope; or why it is refused."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name == "cursor"]
    scope["query_string"] = urlencode(kept).encode()
    for name, _ in pairs:
        if name not in _PARAMETERS:
            return unknown_fields([FieldError(f"/{name}", "There is no such parameter here.")])
        if sum(name == other for other, _ in pairs) > 1:
            return Invalid.at(f"/{name}", f"The parameter {name} is given twice.")
    return dict(pairs)


def _token(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """As over HTTP, and in the query, where browsers can put it."""
    if key := query.get("token") or headers.get("x-api-key"):
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
