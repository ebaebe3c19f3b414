"""Queues as operators see and steer them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import NotFound
from usina.kernel.jobs.service import Dispatch
from usina.kernel.jobs.store import queue as store
from usina.kernel.jobs.store.queue import QueueDepth, Throughput
from usina.kernel.jobs.store.worker import SeenWorker, living
from usina.kernel.queue import QUEUES
from usina.kernel.registry import Registry
from usina.kernel.tenancy.audit import Note, unnoted


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue at one moment. ``workers`` are the living ones that take from it; ``warm`` holds,
    by model of this queue, the ids of those on which its program waits loaded."""

    name: str
    paused: bool
    depth: int
    running: int
    oldest_wait: timedelta | None
    finished: int
    window: timedelta
    workers: Sequence[SeenWorker]
    warm: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Findings:
    """What is read for all queues at once."""

    paused: set[str]
    depths: dict[str, QueueDepth]
    running: dict[str, int]
    throughput: Throughput
    workers: Sequence[SeenWorker]


class Queues:
    """The service; ``alive`` is how long a worker counts as there after its last heartbeat."""

    def __init__(
        self, database: Database, dispatch: Dispatch, registry: Registry, alive: timedelta
    ) -> None:
        self._database = database
        self._dispatch = dispatch
        self._registry = registry
        self._alive = alive

    async def list(self) -> Sequence[Queue]:
        """All of them, by name."""
        return await self._database.read(self._look)

    async def pause(self, name: str, note: Note = unnoted) -> Queue:
        """From now on the queue gives nothing out; what runs goes on."""
        return await self._set_paused(name, True, note)

    async def resume(self, name: str, note: Note = unnoted) -> Queue:
        """The queue gives jobs out again, and its workers are woken."""
        queue = await self._set_paused(name, False, note)
        self._dispatch.work(name)
        return queue

    async def _set_paused(self, name: str, value: bool, note: Note) -> Queue:
        if name not in QUEUES:
            raise NotFound

        def unit(tx: Transaction) -> Queue:
            store.set_paused(tx, name, value)
            note(tx)
            return next(queue for queue in self._look(tx) if queue.name == name)

        return await self._database.write(unit)

    def _look(self, tx: Transaction) -> Sequence[Queue]:
        found = _Findings(
            store.paused(tx),
            {depth.queue: depth for depth in store.depths(tx)},
            store.running(tx),
            store.throughput(tx),
            living(tx, self._alive),
        )
        return [self._queue(tx, name, found) for name in QUEUES]

    def _queue(self, tx: Transaction, name: str, found: _Findings) -> Queue:
        depth = found.depths.get(name)
        oldest = depth and depth.oldest
        serving = [w for w in found.workers if name in w.queues and not w.draining]
        return Queue(
            name=name,
            paused=name in found.paused,
            depth=depth.depth if depth else 0,
            running=found.running.get(name, 0),
            oldest_wait=max(timedelta(0), tx.now - oldest) if oldest else None,
            finished=found.throughput.finished.get(name, 0),
            window=found.throughput.window,
            workers=serving,
            warm=_warm(self._registry, name, serving),
        )


def _warm(registry: Registry, name: str, serving: Sequence[SeenWorker]) -> dict[str, list[str]]:
    """The queue's models that wait loaded, each with its workers."""
    warm: dict[str, list[str]] = {}
    for worker in serving:
        for model_name in worker.warm:
            model = registry.get(model_name)
            if model is not None and model.queue == name:
                warm.setdefault(model_name, []).append(worker.id)
    return dict(sorted(warm.items()))
