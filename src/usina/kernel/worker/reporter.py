"""What a running program tells, on its way to the log: progress, output, fine steps.

Progress is a row at most once a second; finer steps are hints. Output is gathered and written as
chunk rows every half second, and whole into the work folder's log file for the artifact.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from usina.kernel.db.unit_of_work import Database
from usina.kernel.events.bus import Bus
from usina.kernel.events.event import Hint
from usina.kernel.failpoints import reach
from usina.kernel.jobs.service import log_topic
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.jobs.store.lease import Step, append_log, record_steps

_ROW_EVERY_SECONDS: Final = 1.0
_FIRST_ROW_SECONDS: Final = 0.2
_CHUNK_SECONDS: Final = 0.5
_FIRST_CHUNK_SECONDS: Final = 0.2


Keep = Callable[[str, int], Awaitable[None]]
"""Makes a file, by its name and its open descriptor, the job's checkpoint."""


class Reporter:
    """The listener of one attempt; every method of the protocol is cheap and synchronous."""

    def __init__(
        self, database: Database, bus: Bus, lease: Lease, log_path: str, keep: Keep
    ) -> None:
        self._database = database
        self._bus = bus
        self._lease = lease
        self.log_path = log_path
        self._log: BinaryIO | None = None
        self._unwritten = bytearray()
        self._written = 0
        self._step: Step | None = None
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
        self._step = Step(self._lease, fraction, self.stage)
        data = {"progress": fraction, "stage": self.stage}
        self._bus.hint(Hint(self._lease.job_id, "job.progress", data))
        if self._row_timer is None:
            self._row_timer = self._loop.call_later(self._row_delay, self._write_step)

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

    def _write_step(self) -> None:
        step, self._step = self._step, None
        self._row_timer = None
        if step is not None:
            self._row_delay = _ROW_EVERY_SECONDS
            self._spawn(self._store_step(step))

    def _write_chunk(self) -> None:
        self._chunk_timer = None
        self._chunk_delay = _CHUNK_SECONDS
        if self._unwritten:
            data, start = bytes(self._unwritten), self._written
            self._unwritten.clear()
            self._written += len(data)
            self._spawn(self._store_chunk({self._lease: (start, data)}))

    def _spawn(self, write: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

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
        await self._database.write(lambda tx: record_steps(tx, [step], self._bus.announce))
        reach("run.after_progress")

    async def _store_chunk(self, chunk: Mapping[Lease, tuple[int, bytes]]) -> None:
        await self._database.write(lambda tx: append_log(tx, chunk))
        self._bus.wake(log_topic(self._lease.job_id))
