"""Stored bytes as a response: whole, in part, or only that they have not changed. Plain ASGI.

Nothing that somebody uploaded or a program made may run in a browser under the platform's origin:
its type is the sniffed one, only a short list of types is shown inline, and what is shown is
sandboxed. That browsers must not guess types of their own is said on every answer.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from usina.http_kit.problem import problem_response
from usina.http_kit.range import ByteRange, is_listed, wanted_range
from usina.kernel.errors import Gone, RangeNotSatisfiable
from usina.kernel.storage.store import ObjectMissing

_SHOWN_INLINE: Final = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "model/gltf-binary",
        "video/mp4",
        "video/webm",
        "text/plain",
    }
)
_SAFETY: Final = (
    (b"content-security-policy", b"sandbox; default-src 'none'"),
    (b"cache-control", b"private, no-cache"),
    (b"accept-ranges", b"bytes"),
)
_PLAIN_NAME: Final = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$&+-.^_`|~()[]{}=@,"
)
_BINARY: Final[dict[str, Any]] = {
    "*/*": {"schema": {"type": "string", "format": "binary"}},
}
BYTES_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The bytes.", "content": _BINARY},
    206: {"description": "The range of them that was asked for.", "content": _BINARY},
    304: {"description": "They have not changed: `If-None-Match` names their `ETag`."},
}


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """What is served. ``read`` gives the bytes from one offset to before another, in steps."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    read: Callable[[int, int], AsyncGenerator[memoryview]]

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'

    def is_known(self, asked: Headers) -> bool:
        """Whether who asks has these bytes already."""
        return is_listed(asked.get("if-none-match"), self.etag)


class BytesResponse(Response):
    """Answers ``Range``, ``If-Range``, ``If-None-Match`` and HEAD by itself."""

    def __init__(self, stored: StoredBytes) -> None:
        super().__init__()
        self._stored = stored
        self.raw_headers = _headers(stored)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        if self._stored.is_known(asked):
            await _send_start(send, 304, self.raw_headers)
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            part = self._wanted(asked)
            await self._send(part, scope, receive, send)
        except RangeNotSatisfiable as problem:
            refusal = problem_response(problem, scope)
            refusal.headers["content-range"] = f"bytes */{self._stored.size_bytes}"
            await refusal(scope, receive, send)

    def _wanted(self, asked: Headers) -> ByteRange | None:
        """Null is everything, also when ``If-Range`` names other bytes than these."""
        if asked.get("if-range", self._stored.etag) != self._stored.etag:
            return None
        return wanted_range(asked.get("range"), self._stored.size_bytes)

    async def _send(
        self, part: ByteRange | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Nothing is sent before the first bytes are there, so that a loss has its own answer."""
        sent = part or ByteRange(0, self._stored.size_bytes)
        head_only = scope["method"] == "HEAD"
        async with aclosing(self._stored.read(sent.start, sent.stop)) as steps:
            try:
                first = b"" if head_only else await anext(steps, b"")
            except ObjectMissing:
                await problem_response(_lost(), scope)(scope, receive, send)
                return
            headers = [*self.raw_headers, *_lengths(part, sent, self._stored.size_bytes)]
            await _send_start(send, 200 if part is None else 206, headers)
            more = not head_only and len(first) < sent.stop - sent.start
            await send({"type": "http.response.body", "body": first, "more_body": more})
            if more:
                await _send_rest(steps, receive, send)


def _headers(stored: StoredBytes) -> list[tuple[bytes, bytes]]:
    content_type, disposition = content_headers(stored.name, stored.media_type)
    return [
        (b"content-type", content_type.encode()),
        (b"content-disposition", disposition.encode()),
        (b"etag", stored.etag.encode()),
        *_SAFETY,
    ]


def content_headers(name: str, media_type: str) -> tuple[str, str]:
    """``Content-Type`` and ``Content-Disposition``, whoever sends the bytes."""
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return f"{media_type}{charset}", _disposition(name, media_type)


async def _send_start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _send_rest(steps: AsyncIterator[memoryview], receive: Receive, send: Send) -> None:
    """Sends until the end, or until nobody listens any more: servers do not tell a sender so."""
    left = asyncio.ensure_future(_disconnected(receive))
    try:
        async for step in steps:
            if left.done():
                return
            await send({"type": "http.response.body", "body": step, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        left.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _lengths(part: ByteRange | None, sent: ByteRange, size_bytes: int) -> list[tuple[bytes, bytes]]:
    length = (b"content-length", b"%d" % (sent.stop - sent.start))
    if part is None:
        return [length]
    return [length, (b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, size_bytes))]


def _disposition(name: str, media_type: str) -> str:
    """RFC 6266: a plain name for old clients, the true one in UTF-8 (RFC 8187)."""
    kind = "inline" if media_type in _SHOWN_INLINE else "attachment"
    plain = "".join(c if c in _PLAIN_NAME else "_" for c in name)
    disposition = f'{kind}; filename="{plain}"'
    if plain != name:
        disposition += f"; filename*=UTF-8''{quote(name, safe='')}"
    return disposition


def _lost() -> Gone:
    return Gone(
        "The bytes are no longer in the store; make or upload them again.", code="content_lost"
    )
