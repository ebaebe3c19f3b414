"""Items that arrive together are written, or read, together, as one set of statements."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from usina.kernel.db.unit_of_work import Transaction, Unit

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class Transact(Protocol):
    def __call__(self, unit: Unit[Any], /) -> Awaitable[Any]: ...


class Batch(Generic[I, O]):
    """Collects items while the batch before them is on its way.

    ``unit`` does a batch, in a transaction of ``transact`` (a database's ``write`` or ``read``),
    and answers one result per item. A batch that fails is tried again member by member, so that
    one caller's mistake is that caller's alone.
    """

    def __init__(
        self,
        transact: Transact,
        unit: Callable[[Transaction, Sequence[I]], Sequence[O]],
        most: int = 64,
    ) -> None:
        self._transact = transact
        self._unit = unit
        self._most = most
        self._waiting: list[tuple[I, asyncio.Future[O]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def add(self, item: I) -> O:
        """Returns once the item's batch is done; of a write, durable."""
        future: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await future

    async def _flush(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                await self._do(taken)
            except Exception as error:
                if len(taken) == 1:
                    _fail(taken[0][1], error)
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
