"""Running what is asynchronous to its end, however the command is told to stop."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Like ``asyncio.run``; TERM counts as Ctrl-C, so that either way all is cleaned up."""
    try:
        return asyncio.run(_until_told(work))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _until_told(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work
