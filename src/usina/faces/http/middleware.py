"""What happens around every request: its id, its log line, and the net under it. Pure ASGI."""

import asyncio
import time
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from usina.http_kit.problem import problem_response
from usina.http_kit.rate import HEADERS
from usina.kernel.errors import Problem, Unavailable
from usina.kernel.ids import request_id

_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_PAGES: Final = frozenset({"/", "/docs", "/redoc"})
_PAGE_POLICY: Final = (
    b"content-security-policy",
    b"default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    b"script-src 'self' 'unsafe-inline'; worker-src blob:; frame-ancestors 'none'",
)
"""A page of the platform loads nothing from elsewhere."""
_QUIET: Final = frozenset({"/health", "/ready", "/metrics"})
_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Leaving(Unavailable):
    """The platform ends, and this request with it."""

    def __init__(self) -> None:
        super().__init__(
            "The platform leaves, and whether this has happened is not known: ask again with the"
            " same Idempotency-Key."
        )


class Edge:
    """Outermost: gives the request its id, drops a trailing slash, logs one line at the end.

    An error that nobody expected becomes a plain 500 problem; its traceback goes to the log only.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            scope["path"] = _without_slash(scope["path"])
            await self._app(scope, receive, send)
            return
        own_id = request_id(_given_id(scope))
        scope["request_id"] = own_id
        scope["path"] = _without_slash(scope["path"])
        structlog.contextvars.bind_contextvars(request_id=own_id)
        headers = [(b"x-request-id", own_id.encode()), _NOSNIFF]
        scope[HEADERS] = headers
        if scope["path"] in _PAGES:
            headers.append(_PAGE_POLICY)
        exchange = _Exchange(send, headers)
        try:
            await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = exchange.status or 499
        except asyncio.CancelledError:
            if exchange.status:
                raise
            await problem_response(Leaving(), scope)(scope, receive, exchange.send)
        except Exception:
            _log.exception("request failed", method=scope["method"], path=scope["path"])
            if not exchange.status:
                problem = Problem("Something went wrong here; the log has it by the request id.")
                await problem_response(problem, scope)(scope, receive, exchange.send)
        finally:
            _log_line(scope, exchange)


class HeadAsGet:
    """HEAD is answered as GET is, without the content (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = False

        async def send_head(message: Message) -> None:
            nonlocal answered
            if answered and message.get("more_body"):
                raise ClientDisconnect
            if message["type"] == "http.response.start":
                answered = True
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        try:
            await self._app({**scope, "method": "GET"}, receive, send_head)
        except Exception:
            if not answered:
                raise


class _Exchange:
    """One response on its way out."""

    __slots__ = ("_headers", "_send", "_started", "status")

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._headers = headers
        self._started = time.perf_counter()
        self.status = 0

    @property
    def seconds(self) -> float:
        return round(time.perf_counter() - self._started, 6)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        await self._send(message)


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("latin-1")
    return None


def _without_slash(path: str) -> str:
    return path[:-1] if len(path) > 1 and path.endswith("/") else path


def _log_line(scope: Scope, exchange: _Exchange) -> None:
    log = _log.debug if scope["path"] in _QUIET else _log.info
    log(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=exchange.status,
        seconds=exchange.seconds,
    )
