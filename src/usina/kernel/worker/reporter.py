"""What a running program tells, on its way to the log: progress, metrics, output, fine steps.

Progress and metrics are a row at most once a second; finer steps are hints. Output is gathered and
written as chunk rows every half second, and whole into the work folder's log file for the artifact.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from usina.kernel.db.batch import Batch
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.events.bus import Bus
from usina.kernel.events.event import Hint
from usina.kernel.failpoints import reach
from usina.kernel.jobs.service import log_topic
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.jobs.store.lease import Chunk, Step, append_log, record_steps
from usina.kernel.runners.gate import Value

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_ROW_EVERY_SECONDS: Final = 1.0
_FIRST_ROW_SECONDS: Final = 0.2
_CHUNK_SECONDS: Final = 0.5
_FIRST_CHUNK_SECONDS: Final = 0.2
_GATHER_SECONDS: Final = 0.1
_TOGETHER: Final = 1000


Keep = Callable[[str, int], Awaitable[None]]
"""Makes a file, by its name and its open descriptor, the job's checkpoint."""


Reports = Batch[Step | Chunk, None]
"""What all the attempts of a worker tell."""


def gathered(database: Database, bus: Bus) -> Reports:
    """Reports that are written together, ten times a second at most."""

    def write(tx: Transaction, told: Sequence[Step | Chunk]) -> list[None]:
        steps = [item for item in told if isinstance(item, Step)]
        chunks = [item for item in told if isinstance(item, Chunk)]
        if steps:
            record_steps(tx, steps, bus.announce)
        if chunks:
            append_log(tx, chunks)
        return [None] * len(told)

    return Batch(database.write, write, most=_TOGETHER, gather_seconds=_GATHER_SECONDS)


class Reporter:
    """The listener of one attempt; every method of the protocol is cheap and synchronous."""

    def __init__(self, reports: Reports, bus: Bus, lease: Lease, log_path: str, keep: Keep) -> None:
        self._reports = reports
        self._bus = bus
        self._lease = lease
        self.log_path = log_path
        self._log: BinaryIO | None = None
        self._unwritten = bytearray()
        self._written = 0
        self._fraction = 0.0
        self._metrics: dict[str, Value] = {}
        self._loop = asyncio.get_running_loop()
        self._row_timer: asyncio.TimerHandle | None = None
        self._chunk_timer: asyncio.TimerHandle | None = None
        self._keep = keep
        self._checkpoint: tuple[str, int] | None = None
        self._keeping = False
        self._row_delay = _FIRST_ROW_SECONDS
        self._chunk_delay = _FIRST_CHUNK_SECONDS
        self._writes: set[asyncio.Task[None]] = set()
        self.stage: str | None = None

    @property
    def log_bytes(self) -> int:
        return self._written + len(self._unwritten)

    @property
    def chunks_written(self) -> bool:
        return self._written > 0

    def progress(self, fraction: float, stage: str | None) -> None:
        self.stage = stage if stage is not None else self.stage
        self._fraction = fraction
        data = {"progress": fraction, "stage": self.stage}
        self._bus.hint(Hint(self._lease.job_id, "job.progress", data))
        self._write_soon()

    def metric(self, name: str, value: Value) -> None:
        self._metrics[name] = value
        self._write_soon()

    def log(self, data: bytes) -> None:
        if self._log is None:
            self._log = Path(self.log_path).open("wb")  # noqa: SIM115  # as long as it runs
        self._log.write(data)
        self._unwritten += data
        if self._chunk_timer is None:
            self._chunk_timer = self._loop.call_later(self._chunk_delay, self._write_chunk)

    def checkpoint(self, name: str, descriptor: int) -> None:
        """Kept one after the other; of those that come meanwhile only the newest."""
        self._forget_checkpoint()
        self._checkpoint = (name, descriptor)
        if not self._keeping:
            self._keeping = True
            self._spawn(self._keep_checkpoints())

    def remove_log(self) -> None:
        """The log lies in its artifact now, if there was one."""
        if self._log is not None:
            Path(self.log_path).unlink(missing_ok=True)

    async def close(self) -> None:
        """Stops the timers and waits for writes under way; later ones would be fenced anyway."""
        self._stop_timers()
        if self._writes:
            self._reports.hurry()
            await asyncio.gather(*self._writes, return_exceptions=True)
        if self._log is not None:
            self._log.close()

    def abandon(self) -> None:
        """The attempt is given up: nothing more is written of it."""
        self._stop_timers()
        for write in self._writes:
            write.cancel()
        self._forget_checkpoint()
        if self._log is not None:
            self._log.close()

    def _forget_checkpoint(self) -> None:
        if self._checkpoint is not None:
            os.close(self._checkpoint[1])
            self._checkpoint = None

    def _stop_timers(self) -> None:
        for timer in (self._row_timer, self._chunk_timer):
            if timer is not None:
                timer.cancel()

    def _write_soon(self) -> None:
        if self._row_timer is None:
            self._row_timer = self._loop.call_later(self._row_delay, self._write_step)

    def _write_step(self) -> None:
        self._row_timer = None
        self._row_delay = _ROW_EVERY_SECONDS
        step = Step(self._lease, self._fraction, self.stage, dict(self._metrics))
        self._spawn(self._store_step(step))

    def _write_chunk(self) -> None:
        self._chunk_timer = None
        self._chunk_delay = _CHUNK_SECONDS
        if self._unwritten:
            data, start = bytes(self._unwritten), self._written
            self._unwritten.clear()
            self._written += len(data)
            self._spawn(self._store_chunk(Chunk(self._lease, start, data)))

    def _spawn(self, write: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._write_ended)

    def _write_ended(self, task: "asyncio.Task[None]") -> None:
        self._writes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a report of a job was not written", error=repr(error))

    async def _keep_checkpoints(self) -> None:
        try:
            while self._checkpoint is not None:
                (name, descriptor), self._checkpoint = self._checkpoint, None
                try:
                    await self._keep(name, descriptor)
                finally:
                    os.close(descriptor)
        finally:
            self._keeping = False

    async def _store_step(self, step: Step) -> None:
        await self._reports.add(step)
        reach("run.after_progress")

    async def _store_chunk(self, chunk: Chunk) -> None:
        await self._reports.add(chunk)
        self._bus.wake(log_topic(self._lease.job_id))
