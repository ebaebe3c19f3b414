"""What a worker lends of its machine to jobs: slots, memory, GPUs, and turns of a model."""

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Mapping

from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store.claim import Claimed
from usina.kernel.registry import Registry
from usina.kernel.runners.pool import RunnerPool
from usina.kernel.telemetry import SLOTS_BUSY
from usina.kernel.worker.gpu.cards import Cards
from usina.kernel.worker.machine import Machine


class Lender:
    """``freed`` is told when a GPU may be lent again later than the rest of its job's room."""

    def __init__(
        self,
        machine: Machine,
        registry: Registry,
        pool: RunnerPool,
        cards: Cards,
        freed: Callable[[], None],
    ) -> None:
        self._machine, self._registry, self._pool = machine, registry, pool
        self._cards, self._freed = cards, freed
        self._free = Room(machine.slots, machine.memory_bytes)
        self._idle = list(machine.gpus)
        self._running: Tally[str] = Tally()
        self._settling: set[asyncio.Task[None]] = set()

    @property
    def whole(self) -> Room:
        """All that it has; GPUs that are out of service are not there."""
        return self._room(self._machine.room, list(self._machine.gpus))

    @property
    def free(self) -> Room:
        return self._room(self._free, self._idle)

    def _room(self, room: Room, ids: list[str]) -> Room:
        well = self._cards.well(ids)
        largest = self._cards.size(well[-1]) if well else 0
        return Room(room.slots, room.memory_bytes, len(well), largest)

    @property
    def turns(self) -> dict[str, int]:
        """How many more jobs of a model may begin, for models that say how many."""
        return {name: most - self._running[name] for name, most in self._at_once().items()}

    def _at_once(self) -> Mapping[str, int]:
        models = self._registry.all()
        most = {model.name: model.manifest.resources.at_once for model in models}
        return {name: number for name, number in most.items() if number is not None}

    def has_room(self, claimed: Claimed) -> bool:
        """Whether the job could begin now."""
        turn = self.turns.get(claimed.job.model, 1) > 0
        return turn and self.free.holds(claimed.needs) and self._choice(claimed) is not None

    def lend(self, claimed: Claimed) -> tuple[str, ...]:
        """Takes the job's room; the answer names its GPUs: those on which its program waits loaded
        before others, then the smallest that are large enough."""
        lent = self._choice(claimed) or ()
        self._free = self._free.less(claimed.needs)
        self._idle = [id_ for id_ in self._idle if id_ not in lent]
        self._running[claimed.job.model] += 1
        self._tell()
        return lent

    def _choice(self, claimed: Claimed) -> tuple[str, ...] | None:
        """Null where too few are free that are large enough."""
        job, needs = claimed.job, claimed.needs
        model = self._registry.get(job.model) if needs.gpus else None
        if model is None:
            return ()
        well = self._cards.well(self._idle)
        fit = [id_ for id_ in well if self._cards.size(id_) >= needs.gpu_memory_bytes]
        loaded = self._pool.warm_devices(model.manifest, job.organization_id)
        waiting = [devices for devices in loaded if set(devices) <= set(fit)]
        if waiting:
            return waiting[0]
        return tuple(fit[: needs.gpus]) if len(fit) >= needs.gpus else None

    def take_back(self, claimed: Claimed, devices: tuple[str, ...]) -> None:
        """The job's program has ended. GPUs on which none waits loaded are lent again once they are
        seen to be free."""
        self._free = self._free.plus(claimed.needs)
        self._running[claimed.job.model] -= 1
        if not devices or self._pool.waits_on(devices):
            self._idle.extend(devices)
        else:
            task = asyncio.get_running_loop().create_task(self._settle(devices))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
        self._tell()

    async def _settle(self, devices: tuple[str, ...]) -> None:
        try:
            await self._cards.freed(devices)
        finally:
            self._idle.extend(devices)
        self._freed()

    async def close(self) -> None:
        for task in self._settling:
            task.cancel()
        await asyncio.gather(*self._settling, return_exceptions=True)

    def _tell(self) -> None:
        SLOTS_BUSY.set(self._machine.slots - self._free.slots)
