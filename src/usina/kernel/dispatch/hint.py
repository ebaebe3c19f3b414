"""Hints to workers, over the bus: at once, in this process and in others."""

from typing import Protocol

from usina.kernel.events.bus import Bus, cancel_topic, queue_topic


class HintedWorker(Protocol):
    def wake(self, queue: str) -> None: ...

    def cancel(self, job_id: str) -> None: ...

    def ask(self, worker_id: str) -> None: ...

    def forget(self, organization_id: str) -> None: ...


class BusDispatch:
    """Tells whichever worker listens."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def work(self, queue: str) -> None:
        self._bus.wake(queue_topic(queue))

    def cancel(self, job_id: str) -> None:
        self._bus.wake(cancel_topic(job_id))


def attend(bus: Bus, worker: HintedWorker) -> None:
    """From now on the worker is told what the bus hears."""
    bus.tap("queue", worker.wake)
    bus.tap("cancel", worker.cancel)
    bus.tap("worker", worker.ask)
    bus.tap("forget", worker.forget)
