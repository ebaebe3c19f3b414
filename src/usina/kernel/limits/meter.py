"""The meter: how many requests a key and an organization make in each window of time.

A request is counted in this process, which costs a microsecond and waits for nobody. Where
processes share a Redis, each tells it a few times a second what it has counted and hears what all
have. So a rate may be passed by what arrives in that moment, and where Redis is away each process
holds callers to the rate by itself; what was not shared is counted as such.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from usina.kernel.limits.rate import Rate
from usina.kernel.redis import Counts
from usina.kernel.telemetry import RATE_FAILURES

if TYPE_CHECKING:
    from limits.aio.storage import Storage

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_SHARE_SECONDS: Final = 0.25
_MOST_COUNTED: Final = 50_000


@dataclass(slots=True)
class _Window:
    number: int
    total: int = 0
    """As far as this process knows."""
    unshared: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """One rate after a request was counted; a negative ``remaining`` is one too many."""

    remaining: int
    reset_seconds: int

    @property
    def within(self) -> bool:
        return self.remaining >= 0


class Meter:
    """Counts; without ``shared`` for this process alone."""

    def __init__(self, shared: Counts | None = None, now: Callable[[], float] = time.time) -> None:
        self._shared = shared
        self._now = now
        self._windows: dict[tuple[str, Rate], _Window] = {}
        self._sharing: asyncio.Task[None] | None = None
        self._answers = True

    def count(self, who: str, rate: Rate) -> Reading:
        """One request more of ``who``."""
        now = self._now()
        number = int(now // rate.seconds)
        key = who, rate
        window = self._windows.get(key)
        if window is None or window.number != number:
            if len(self._windows) >= _MOST_COUNTED:
                self._windows.clear()
            window = self._windows[key] = _Window(number)
        window.total += 1
        if self._shared is not None:
            window.unshared += 1
            if self._sharing is None or self._sharing.done():
                self._sharing = asyncio.create_task(self._share_soon(self._shared))
        left = (number + 1) * rate.seconds - now
        return Reading(rate.amount - window.total, max(1, math.ceil(left)))

    async def stop(self) -> None:
        if self._sharing is not None:
            self._sharing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sharing

    async def _share_soon(self, shared: Counts) -> None:
        """As long as there is something to tell."""
        while True:
            await asyncio.sleep(_SHARE_SECONDS)
            waiting = [(key, w) for key, w in self._windows.items() if w.unshared]
            if not waiting:
                return
            for (who, rate), window in waiting:
                await self._share(shared.storage, f"{who}:{window.number}", rate, window)

    async def _share(self, storage: "Storage", name: str, rate: Rate, window: _Window) -> None:
        told, window.unshared = window.unshared, 0
        try:
            everybody = await storage.incr(name, 2 * rate.seconds, amount=told)
        except Exception as error:  # whatever the way to Redis raises
            RATE_FAILURES.inc(told)
            if self._answers:
                _log.warning("requests are counted by each process alone", error=repr(error))
            self._answers = False
            return
        self._answers = True
        window.total = everybody + window.unshared
