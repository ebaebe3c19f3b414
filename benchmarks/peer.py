"""What a peer of the distributed benchmark is: a worker process, and a client that waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from benchmarks.rig import Rig

Cycle = Callable[[], Awaitable[None]]


class Peer(Protocol):
    """One system, in its best documented setting for low latency."""

    name: str
    database: str | None
    """Its database in PostgreSQL, where it keeps something there."""

    async def prepare(self, rig: Rig) -> None:
        """Makes its tables, where it has any."""
        ...

    def environment(self, rig: Rig) -> Mapping[str, str]: ...

    def worker(self, rig: Rig) -> list[str]:
        """The command of its one worker process, of two slots."""
        ...

    async def cycles(self, rig: Rig, count: int, flight: int) -> list[float]:
        """So many jobs from asking until the result is visible, so many at a time; seconds each."""
        ...


async def drive(cycle: Callable[[], Awaitable[None]], count: int, flight: int) -> list[float]:
    """Seconds of each of ``count`` cycles, ``flight`` of them at a time."""
    each: list[float] = []

    async def client(share: int) -> None:
        for _ in range(share):
            began = time.perf_counter()
            await cycle()
            each.append(time.perf_counter() - began)

    await asyncio.gather(*(client(count // flight) for _ in range(flight)))
    return each
