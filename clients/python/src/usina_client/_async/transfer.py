"""Files and artifacts to disk."""

import os
from asyncio import sleep
from pathlib import Path

from usina_client._bed import BedFile
from usina_client._download import Sink, receiving, target_of
from usina_client._error import TransportError
from usina_client._model import (
    Artifact,
    File,
)
from usina_client._request import Request
from usina_client._upload import OnProgress

from .connection import AsyncConnection, pause


async def download(
    connection: AsyncConnection,
    content: File | Artifact | BedFile,
    path: str,
    to: str | os.PathLike[str] | None,
    on_progress: OnProgress | None,
) -> Path:
    """The bytes under `path` into a file; a broken transfer goes on where it stopped."""
    target = target_of(to, content.name)
    with receiving(target, content.size_bytes, content.sha256, on_progress) as sink:
        failures = 0
        while True:
            before = sink.size
            try:
                await _receive(connection, path, sink)
                break
            except TransportError:
                failures = failures + 1 if sink.size == before else 1
                if failures > connection.retries:
                    raise
                await sleep(pause(failures))
    return target


async def _receive(connection: AsyncConnection, path: str, sink: Sink) -> None:
    headers = {"Accept-Encoding": "identity"}
    if sink.size:
        headers["Range"] = f"bytes={sink.size}-"
    request = Request(method="GET", path=path, headers=headers)
    async with connection.open(request) as response:
        if sink.size and response.status_code != 206:
            sink.restart()
        async for chunk in response.aiter_bytes():
            sink.write(chunk)
