"""Threads for calls that may be waited for in vain."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """At most so many. Unlike an executor's, none of them keeps a process that leaves."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """What the work returns or raises; raises ``RuntimeError`` after the close."""
        if self._closed:
            raise RuntimeError(f"the threads {self._name} are closed")
        future: Future[T] = Future()
        self._work.put((future, work))
        if len(self._threads) < self._most:
            thread = threading.Thread(
                target=self._serve, name=f"{self._name}-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return await asyncio.wrap_future(future)

    def close(self, seconds: float) -> None:
        """Takes nothing more, lets what was begun end, and waits so long for that. Blocks."""
        self._closed = True
        for _ in self._threads:
            self._work.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self) -> None:
        while (next_ := self._work.get()) is not None:
            future, work = next_
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del next_, future, work  # which may hold much, while nothing comes
