"""Dispatch inside one process: the worker is an object next door."""

from typing import Protocol


class LocalWorker(Protocol):
    def wake(self, queue: str) -> None: ...

    def cancel(self, job_id: str) -> None: ...


class LocalDispatch:
    """Hands hints to the worker that was attached; without one they are dropped."""

    def __init__(self) -> None:
        self._worker: LocalWorker | None = None

    def attach(self, worker: LocalWorker) -> None:
        self._worker = worker

    def work(self, queue: str) -> None:
        if self._worker is not None:
            self._worker.wake(queue)

    def cancel(self, job_id: str) -> None:
        if self._worker is not None:
            self._worker.cancel(job_id)
