"""A receiver of webhooks on loopback that does what its script says, down to the bytes."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import socket
import ssl
import struct
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[["Conversation"], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """What one delivery said."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> tuple[str | None, int | None]:
        """The id of the event and its number in its job."""
        seq = self.headers.get("usina-event-seq")
        return self.headers.get("usina-event-id"), None if seq is None else int(seq)

    @property
    def told(self) -> dict[str, Any]:
        return json.loads(self.body)

    def signed_by(self, secret: str) -> bool:
        """Whether one of the signatures is this secret's, by the letter of Standard Webhooks."""
        key = b64decode(secret.removeprefix("whsec_"))
        said = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        mine = b64encode(hmac.digest(key, said, hashlib.sha256)).decode()
        return f"v1,{mine}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Conversation:
    """One connection, once its request has been read."""

    request: Request
    writer: asyncio.StreamWriter

    async def say(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()


@dataclass
class Receiver:
    """``script`` holds what is done with the next requests, and ``usual`` makes what is done then:
    each is answered 204 unless told."""

    port: int = 0
    script: list[Behaviour] = field(default_factory=list[Behaviour])
    usual: Callable[[], Behaviour] = field(default=lambda: answers(204))
    requests: list[Request] = field(default_factory=list[Request])
    names: list[str | None] = field(default_factory=list[str | None])
    """The server name (SNI) of each TLS connection."""
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)
    _open: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def wait(self, count: int, seconds: float = 20) -> list[Request]:
        """Returns once so many requests have come."""
        async with asyncio.timeout(seconds), self._came:
            await self._came.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                request = await _read(reader)
                self.requests.append(request)
                behave = self.script.pop(0) if self.script else self.usual()
                async with self._came:
                    self._came.notify_all()
                await behave(Conversation(request, writer))
        except asyncio.CancelledError:
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def hang_up(self) -> None:
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in headers.items()}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(head[0].split(" ")[1], headers, body)


@asynccontextmanager
async def receiver(
    *script: Behaviour, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""
    made = Receiver(script=list(script))
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: made.names.append(name)
    server = await asyncio.start_server(made.talk, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        await made.hang_up()
        server.close()


def answers(
    status: int, body: bytes = b"", headers: Sequence[str] = (), after: float = 0
) -> Behaviour:
    """An answer like any other."""

    async def behave(conversation: Conversation) -> None:
        await asyncio.sleep(after)
        lines = [f"HTTP/1.1 {status} So", f"content-length: {len(body)}", *headers, "", ""]
        await conversation.say("\r\n".join(lines).encode() + body)

    return behave


def hangs() -> Behaviour:
    """Takes the request and says nothing, ever."""

    async def behave(_conversation: Conversation) -> None:
        await asyncio.Event().wait()

    return behave


def resets() -> Behaviour:
    """Cuts the connection off, as a machine does that knows nothing of it."""

    async def behave(conversation: Conversation) -> None:
        connection = conversation.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conversation.writer.transport.abort()

    return behave


def speaks(raw: bytes) -> Behaviour:
    """Says just these bytes and closes."""

    async def behave(conversation: Conversation) -> None:
        await conversation.say(raw)

    return behave


def floods(size: int, headers: Sequence[str] = ()) -> Behaviour:
    """Answers 200 with a body of so many bytes."""

    async def behave(conversation: Conversation) -> None:
        lines = ["HTTP/1.1 200 So", f"content-length: {size}", *headers, "", ""]
        await conversation.say("\r\n".join(lines).encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(size // 65_536):
                await conversation.say(b"x" * 65_536)

    return behave


def drips(seconds: float) -> Behaviour:
    """A byte now and then, so that no single wait is long."""

    async def behave(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 200 So\r\ncontent-length: 1000\r\n\r\n")
        while True:
            await conversation.say(b".")
            await asyncio.sleep(seconds)

    return behave
