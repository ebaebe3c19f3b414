"""A client of the WebSocket, as a browser's would be."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import websockets.asyncio.client
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

TERMINAL = {"job.succeeded", "job.failed", "job.cancelled"}


class Socket:
    """One connection; messages as JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def hear(self, seconds: float = 20) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            text = await self.connection.recv()
        assert isinstance(text, str)
        return json.loads(text)

    async def hear_a(self, kind: str) -> dict[str, Any]:
        """The next message of the type."""
        while (message := await self.hear())["type"] != kind:
            pass
        return message

    async def updates(self, job_id: str) -> list[dict[str, Any]]:
        """What is told of the job, to its end."""
        told: list[dict[str, Any]] = []
        while not told or told[-1]["event"]["type"] not in TERMINAL:
            message = await self.hear_a("job_update")
            told += [message] if message["event"]["job_id"] == job_id else []
        return told

    async def closed(self) -> tuple[int, str]:
        """Its close code and reason, once it is closed; what was told before is dropped."""
        async with asyncio.timeout(20):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed:
                return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def socket(
    url: str, headers: dict[str, str] | None = None, **query: str
) -> AsyncGenerator[Socket]:
    address = f"{url.replace('http', 'ws', 1).rstrip('/')}/api/v1/ws"
    address += f"?{urlencode(query)}" if query else ""
    async with websockets.asyncio.client.connect(
        address, additional_headers=headers, ping_interval=None
    ) as connection:
        yield Socket(connection)
