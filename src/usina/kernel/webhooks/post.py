"""Sending one request to an address that a caller named, and reading no more than a little back."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Final

import structlog
from httpcore2 import (
    URL,
    AsyncHTTPConnection,
    ConnectError,
    ConnectTimeout,
    NetworkError,
    Origin,
    ProtocolError,
    Response,
)

from usina.kernel.guard.connect import AddressRefused, GuardedBackend, NameUnknown, Resolve
from usina.kernel.guard.reach import Reach
from usina.kernel.guard.target import Target, parse_target
from usina.kernel.text import without_nul

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_ALWAYS: Final = (("user-agent", "Usina-Webhooks/1"), ("accept-encoding", "identity"))
_MOST_READ: Final = 64 * 1024
_MOST_SHOWN: Final = 1000
_LONGEST_WAIT: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request; ``error`` is null where the receiver took it, else a stable code."""

    duration_seconds: float
    status_code: int | None = None
    error: str | None = None
    message: str | None = None
    answer: str | None = None
    wait: timedelta | None = None
    """How long the receiver asks to be left alone (``Retry-After``)."""


class Poster:
    """Posts to what is in reach, each request over a connection of its own.

    No redirect is followed, nothing is unpacked, and after ``timeout_seconds`` it is over, whatever
    the receiver does.
    """

    def __init__(
        self,
        reach: Reach,
        resolve: Resolve,
        timeout_seconds: float,
        trusted: ssl.SSLContext | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._reach = reach
        self._resolve = resolve
        self._timeout_seconds = timeout_seconds
        self._given = trusted
        self._now = now

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        """Read when the first receiver is to be trusted: a start does not wait for it."""
        return self._given or ssl.create_default_context()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Never raises for what the receiver, or the way to it, does."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, answer, wait = await self._exchange(url, headers, body)
        except Exception as error:
            code, message = self._why(error)
            return Reply(loop.time() - began, error=code, message=message)
        duration = loop.time() - began
        code, message = _verdict(status)
        return Reply(duration, status, code, message, answer, wait)

    async def _exchange(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, timedelta | None]:
        """The status, the beginning of the answer, and how long it asks to wait."""
        target = parse_target(url)
        scheme = b"https" if target.secure else b"http"
        host = target.host.encode()
        backend = GuardedBackend(self._reach, self._resolve)
        origin = Origin(scheme, host, target.port)
        trusted = self._trusted if target.secure else None
        connection = AsyncHTTPConnection(origin, trusted, network_backend=backend)
        said = [("host", _host_header(target)), *_ALWAYS, *headers.items()]
        asked = URL(scheme=scheme, host=host, port=target.port, target=target.path.encode())
        try:
            async with connection.stream("POST", asked, headers=said, content=body) as response:
                text = await _beginning(response)
                return response.status, text, self._wait(response)
        finally:
            await connection.aclose()
            await backend.close()

    def _wait(self, response: Response) -> timedelta | None:
        """``Retry-After``, in seconds or as a date (RFC 9110, section 10.2.3)."""
        given = _header(response.headers, b"retry-after").strip()
        if given.isascii() and given.isdecimal() and len(given) <= 9:
            return min(timedelta(seconds=int(given)), _LONGEST_WAIT)
        try:
            moment = parsedate_to_datetime(given)
            return min(max(moment - self._now(), timedelta(0)), _LONGEST_WAIT)
        except (ValueError, TypeError):
            return None

    def _why(self, error: Exception) -> tuple[str, str]:
        """A failure as a code and a sentence that says nothing of our own network."""
        if isinstance(error, TimeoutError | ConnectTimeout):
            return "timeout", f"No whole answer within {self._timeout_seconds:g} s."
        if isinstance(error, AddressRefused):
            return "address_not_allowed", "The host has an address that may not be reached."
        if isinstance(error, NameUnknown):
            return "name_unknown", "The host has no address."
        if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
            why = error if isinstance(error, ssl.SSLError) else error.__cause__
            reason = getattr(why, "verify_message", "") or getattr(why, "reason", "") or "refused"
            return "tls", f"The TLS handshake failed: {reason}."
        if isinstance(error, ConnectError):
            return "connection", "The connection could not be made."
        if isinstance(error, NetworkError | OSError):
            return "connection", "The connection broke before the answer was there."
        if isinstance(error, ProtocolError):
            return "protocol", "The answer is not HTTP, or was cut off."
        _log.error("a webhook could not be sent", exc_info=error)
        return "internal", "The platform could not send the request."


def _verdict(status: int) -> tuple[str | None, str | None]:
    if 200 <= status < 300:
        return None, None
    if 300 <= status < 400:
        where = "register the address that it leads to"
        return "redirect", f"It answered {status}, and redirects are not followed: {where}."
    return "status", f"It answered {status}."


async def _beginning(response: Response) -> str:
    """The beginning of an answer as text; what is packed stays so and is not shown."""
    read = bytearray()
    async for part in response.aiter_stream():
        read += part
        if len(read) >= _MOST_READ:
            break
    packed = _header(response.headers, b"content-encoding")
    if packed and packed.lower() != "identity":
        return f"({len(read)} bytes, packed as {packed[:20]})"
    return without_nul(bytes(read[:_MOST_READ]).decode("utf-8", "replace")[:_MOST_SHOWN])


def _header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")


def _host_header(target: Target) -> str:
    """Without the scheme's own port."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = 443 if target.secure else 80
    return host if target.port == usual else f"{host}:{target.port}"
