"""A lean HTTP/1.1 client on one keep-alive connection: the load must not cost more than the server.

Enough of RFC 9112 for our own JSON answers (a Content-Length on each), and no more.
"""

import asyncio
import json
from typing import Any, Self


class Connection:
    """One request at a time."""

    def __init__(self, host: str, port: int, api_key: str) -> None:
        self._address = host, port
        self._head = f"Host: {host}\r\nx-api-key: {api_key}\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and decoded body."""
        data = b"" if body is None else json.dumps(body).encode()
        extra = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if data else ""
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{extra}\r\n".encode() + data)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        _, _, rest = head.lower().partition(b"content-length: ")
        answer = await self._reader.readexactly(int(rest.split(b"\r\n", 1)[0])) if rest else b""
        return status, json.loads(answer) if answer else None
