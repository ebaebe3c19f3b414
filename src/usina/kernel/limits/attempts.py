"""Attempts: what somebody may try only so often, such as a password. Counted before it is tried.

The counts are in memory, or in Redis where processes share it. Where Redis is away everything is
let through, and counted as such: nobody is locked out by a cache.
"""

import math
import time
from functools import cached_property
from typing import TYPE_CHECKING, Final

import structlog

from usina.kernel.errors import TooMany
from usina.kernel.limits.rate import Rate
from usina.kernel.redis import Counts
from usina.kernel.telemetry import RATE_FAILURES

if TYPE_CHECKING:
    from limits.aio.strategies import RateLimiter

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_NAMESPACE: Final = "usina"
_ACCOUNTS_BEHIND_AN_ADDRESS: Final = 10


class Attempts:
    """Counts with the other processes, or without ``shared`` in this one."""

    def __init__(self, shared: Counts | None, rate: Rate) -> None:
        self._shared = shared
        self._rate = rate

    @cached_property
    def _limiter(self) -> "RateLimiter":
        from limits.aio.storage import MemoryStorage  # loading it costs more than a start may
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        storage = MemoryStorage() if self._shared is None else self._shared.storage
        return SlidingWindowCounterRateLimiter(storage)

    async def count(self, address: str | None, account: str | None = None) -> None:
        """One more of an address and of an account, or of an address alone.

        Raises ``TooMany`` above the rate; an address has ten times that of an account.
        """
        if account is not None:
            await self._count(f"account {account}", 1)
        await self._count(f"address {address}", _ACCOUNTS_BEHIND_AN_ADDRESS)

    async def _count(self, who: str, times: int) -> None:
        from limits import RateLimitItemPerSecond

        item = RateLimitItemPerSecond(self._rate.amount * times, self._rate.seconds, _NAMESPACE)
        try:
            within = await self._limiter.hit(item, who)
            end = 0.0 if within else (await self._limiter.get_window_stats(item, who))[0]
        except Exception as error:  # whatever the way to Redis raises
            _log.warning("an attempt could not be counted", error=repr(error))
            RATE_FAILURES.inc()
            return
        if not within:
            wait = max(1, math.ceil(end - time.time()))
            raise TooMany("Too many attempts; wait a little.", wait)
