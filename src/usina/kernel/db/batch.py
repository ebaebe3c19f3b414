"""Items that arrive together are written, or read, together, as one set of statements."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from usina.kernel.db.unit_of_work import OutcomeUnknown, Transaction, Unit

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class Transact(Protocol):
    def __call__(self, unit: Unit[Any], /) -> Awaitable[Any]: ...


class Batch(Generic[I, O]):
    """Collects items while the batch before them is on its way.

    ``unit`` does a batch, in a transaction of ``transact`` (a database's ``write`` or ``read``),
    and answers one result per item. A batch that fails is tried again member by member, so that
    one caller's mistake is that caller's alone; but not one that may have been written. With
    ``gather_seconds`` a batch also waits so long for more, unless somebody is in a hurry.
    """

    def __init__(
        self,
        transact: Transact,
        unit: Callable[[Transaction, Sequence[I]], Sequence[O]],
        most: int = 64,
        gather_seconds: float = 0.0,
    ) -> None:
        self._transact = transact
        self._unit = unit
        self._most = most
        self._gather_seconds = gather_seconds
        self._hurried = asyncio.Event()
        self._waiting: list[tuple[I, asyncio.Future[O]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def add(self, item: I) -> O:
        """Returns once the item's batch is done; of a write, durable."""
        future: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await future

    def hurry(self) -> None:
        """Whoever waits now waits for no more company."""
        self._hurried.set()

    async def _gather(self) -> None:
        if self._gather_seconds:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._gather_seconds):
                    await self._hurried.wait()
            self._hurried.clear()

    async def _flush(self) -> None:
        while self._waiting:
            await self._gather()
            taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                await self._do(taken)
            except Exception as error:
                if len(taken) == 1 or isinstance(error, OutcomeUnknown):
                    for _, future in taken:
                        _fail(future, error)
                    continue
                await asyncio.gather(*(self._do_alone(member) for member in taken))

    async def _do(self, members: Sequence[tuple[I, asyncio.Future[O]]]) -> None:
        items = [item for item, _ in members]
        results = await self._transact(lambda tx: self._unit(tx, items))
        for (_, future), result in zip(members, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _do_alone(self, member: tuple[I, asyncio.Future[O]]) -> None:
        try:
            await self._do([member])
        except Exception as error:
            _fail(member[1], error)


def _fail(future: asyncio.Future[O], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
