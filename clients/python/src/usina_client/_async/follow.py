"""What has a status, followed by asking again."""

from asyncio import sleep
from collections.abc import AsyncGenerator
from typing import TypeVar

from usina_client._bed import Simulation, Sweep
from usina_client._request import get

from .connection import AsyncConnection

Followed = TypeVar("Followed", Simulation, Sweep)


async def changes(
    connection: AsyncConnection, path: str, kind: type[Followed], every_seconds: float
) -> AsyncGenerator[Followed]:
    """How it is, and again whenever that has changed, until it has ended."""
    shown = await connection.fetch(get(path), kind)
    yield shown
    while not shown.terminal:
        await sleep(every_seconds)
        now = await connection.fetch(get(path), kind)
        if now != shown:
            shown = now
            yield shown


async def end(
    connection: AsyncConnection, path: str, kind: type[Followed], every_seconds: float
) -> Followed:
    """It, once it has ended, however."""
    now = await connection.fetch(get(path), kind)
    while not now.terminal:
        await sleep(every_seconds)
        now = await connection.fetch(get(path), kind)
    return now
