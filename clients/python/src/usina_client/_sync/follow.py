# Generated from ../_async/follow.py by generate_sync.py: change that file instead.
"""What has a status, followed by asking again."""

from collections.abc import Generator
from time import sleep
from typing import TypeVar

from usina_client._bed import Simulation, Sweep
from usina_client._request import get

from .connection import Connection

Followed = TypeVar("Followed", Simulation, Sweep)


def changes(
    connection: Connection, path: str, kind: type[Followed], every_seconds: float
) -> Generator[Followed]:
    """How it is, and again whenever that has changed, until it has ended."""
    shown = connection.fetch(get(path), kind)
    yield shown
    while not shown.terminal:
        sleep(every_seconds)
        now = connection.fetch(get(path), kind)
        if now != shown:
            shown = now
            yield shown


def end(connection: Connection, path: str, kind: type[Followed], every_seconds: float) -> Followed:
    """It, once it has ended, however."""
    now = connection.fetch(get(path), kind)
    while not now.terminal:
        sleep(every_seconds)
        now = connection.fetch(get(path), kind)
    return now
