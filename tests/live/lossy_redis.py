"""A way to Redis on which most of what the platform's processes tell each other is lost."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

_LINES = b"+-:_#,("
_BULKS = b"$=!"


class LossyRedis:
    """Forwards everything but a share of the messages of `usina:...` channels."""

    def __init__(self, port: int, seed: int, lost: float) -> None:
        self._port = port
        self._dice = random.Random(seed)
        self._share = lost
        self.url = ""
        self.carried = self.lost = 0
        self.clients: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.add(asyncio.create_task(self._carry(reader, writer)))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asks = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [
            asyncio.create_task(_copy(reader, asks)),
            asyncio.create_task(self._answer(answers, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            for end in (writer, asks):
                end.close()

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(answers)
                told = (
                    frame[:1] in b"*>" and b"$7\r\nmessage\r\n" in frame and b"\r\nusina:" in frame
                )
                if told and self._dice.random() < self._share:
                    self.lost += 1
                    continue
                self.carried += told
                writer.write(frame)
                await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """One whole value of Redis' protocol, with what is nested in it."""
    line = await reader.readuntil(b"\r\n")
    kind, size = line[:1], line[1:-2]
    if kind in _LINES:
        return line
    length = int(size)
    if length < 0:
        return line
    if kind in _BULKS:
        return line + await reader.readexactly(length + 2)
    parts = [await _frame(reader) for _ in range(length * (2 if kind == b"%" else 1))]
    return line + b"".join(parts)


@asynccontextmanager
async def lossy_redis(port: int, seed: int, lost: float) -> AsyncGenerator[LossyRedis]:
    way = LossyRedis(port, seed, lost)
    server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    way.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    try:
        yield way
    finally:
        server.close()
        for client in way.clients:
            client.cancel()
        if way.clients:
            await asyncio.wait(way.clients)
