"""Letting go of clients that take nothing, at next to no cost for each message that is taken."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from usina.kernel.errors import Unavailable

T = TypeVar("T")


class _Patience(Generic[T]):
    """One timer a stream, which looks how long the send has taken that is under way."""

    def __init__(self, send: Callable[[T], Awaitable[None]], seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None, "a stream is sent by a task"
        self._send = send
        self._seconds = seconds
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer = self._loop.call_later(seconds, self._look)
        self.over = False

    async def send(self, message: T) -> None:
        self._since = self._loop.time()
        await self._send(message)
        self._since = None

    def close(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        waited = 0.0 if self._since is None else self._loop.time() - self._since
        if waited < self._seconds:
            self._timer = self._loop.call_later(self._seconds - waited, self._look)
        else:
            self.over = True
            self._task.cancel()


@asynccontextmanager
async def patient(
    send: Callable[[T], Awaitable[None]], seconds: float
) -> AsyncGenerator[Callable[[T], Awaitable[None]]]:
    """The same ``send``; raises ``Unavailable`` when one takes longer than ``seconds``."""
    patience = _Patience(send, seconds)
    try:
        yield patience.send
    except asyncio.CancelledError:
        if not patience.over:
            raise
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        raise Unavailable(
            f"The client took nothing for {seconds:g} s; go on after the last event.",
            code="too_slow",
        ) from None
    finally:
        patience.close()
