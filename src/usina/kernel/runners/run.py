"""One job on one program: gathers what it tells, and stops it in time."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from usina.kernel.runners.assignment import Assignment, Listener, StopSignal
from usina.kernel.runners.gate import Value
from usina.kernel.runners.gpu_failure import told_apart
from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.lodging import Lodging
from usina.kernel.runners.outcome import (
    INTERRUPTED,
    Exit,
    Failure,
    Outcome,
    failure_of_exit,
    timed_out,
    without_host_paths,
)
from usina.kernel.runners.program import Program
from usina.kernel.runners.protocol import (
    Checkpoint,
    DeclaredArtifact,
    Error,
    LogLine,
    Message,
    Metric,
    Progress,
    Ready,
    Result,
)
from usina.kernel.runners.work import WorkFolder
from usina.kernel.storage.plain_file import FOLDER, open_below

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_TAIL_BYTES: Final = 4096
_EXIT_SECONDS: Final = 30.0
_REJECTED: Final = b"[usina] lines on descriptor 3 that are no messages were ignored\n"


class Run:
    """The receiver of a program for the time of one job.

    ``lodge`` gives the job's folder to a warm program meanwhile.
    """

    def __init__(
        self,
        program: Program,
        assignment: Assignment,
        listener: Listener,
        limits: RunnerLimits,
        lodge: Callable[[WorkFolder], Lodging] | None = None,
    ) -> None:
        self._program = program
        self._assignment = assignment
        self._lodge = lodge
        self._lodging: Lodging | None = None
        self._work = assignment.work
        self._listener = listener
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._outputs: dict[str, DeclaredArtifact] = {}
        self._metrics: dict[str, Value] = {}
        self._answer: Result | Error | None = None
        self._stopped: Failure | None = None
        self._given = False
        self._forced = False
        self._told_rejected = False
        self._log_left = limits.log_bytes
        self._tail = b""
        self._in_line = False

    @property
    def reusable(self) -> bool:
        """Whether the program is free again: it has answered, once, or was never given the job."""
        free = self._answer is not None or not self._given
        return free and self._program.ready and not (self._forced or self._program.unruly)

    @property
    def never_begun(self) -> bool:
        """Whether the program died before it read the job, so that another one may have it."""
        ended = self._program.exit is not None and self._stopped is None
        return ended and self._given and self._program.untouched

    async def finish(self, stop: StopSignal) -> Outcome:
        """Until a cold program is gone, until a warm one has answered or is gone."""
        self._program.attach(self)
        self._later(self._assignment.timeout_seconds, self._expire)
        stop.watch(self._stop)
        if self._program.ready:
            self._hand_over()
        try:
            await self._done
        finally:
            stop.watch(None)
            for timer in self._timers:
                timer.cancel()
            self._program.detach()
            if self._lodging is not None:
                self._lodging.leave()
        return self._outcome()

    def message(self, message: Message) -> None:
        if self._answer is not None:
            self._program.unruly = True
            return
        match message:
            case Progress(fraction, stage):
                self._tell(self._listener.progress, fraction, stage)
            case Result() | Error():
                self._answered(message)
            case LogLine(level, text):
                self._program.drain_log()
                self._log_line(f"[{level}] {text}\n".encode())
            case Ready():
                self._hand_over()
            case _:
                self._note(message)

    def _note(self, message: Message) -> None:
        """What is told now and wanted at the end."""
        match message:
            case DeclaredArtifact(path, name):
                if len(self._outputs) <= self._limits.artifacts:
                    inside = path.removeprefix(f"{self._work.path}/")
                    self._outputs[name] = replace(message, path=inside)
            case Metric(name, value):
                if name in self._metrics or len(self._metrics) < self._limits.metrics:
                    self._metrics[name] = value
                    self._tell(self._listener.metric, name, value)
            case Checkpoint(path):
                self._tell_checkpoint(path)
            case _:
                pass

    def _tell_checkpoint(self, told: str) -> None:
        """Opened at once: where the job's folder lies changes, the file does not."""
        path = self._work.inside(told)
        if path is None:
            return
        try:
            folder = self._lodging.open() if self._lodging else os.open(self._work.path, FOLDER)
            try:
                descriptor = open_below(folder, path.relative_to(self._work.path).parts)
            finally:
                os.close(folder)
        except OSError as error:
            _log.warning("checkpoint not taken", error=error.strerror)
            return
        self._tell(self._listener.checkpoint, path.name, descriptor)

    def _log_line(self, line: bytes) -> None:
        """Not behind half a line of the program's output."""
        self.log(b"\n" + line if self._in_line else line)

    def log(self, data: bytes) -> None:
        self._in_line = not data.endswith(b"\n")
        self._tail = (self._tail + data[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        left = self._log_left
        if left < 0:
            return
        self._log_left = left - len(data)
        if self._log_left < 0:
            notice = f"\n[usina] the log is cut here: it may have {self._limits.log_bytes} bytes\n"
            data = data[:left] + notice.encode()
        self._tell(self._listener.log, data)

    def rejected(self) -> None:
        if not self._told_rejected:
            self._told_rejected = True
            self._log_line(_REJECTED)

    def exited(self, ended: Exit) -> None:
        self._end()

    def _tell(self, listen: Callable[..., None], *what: object) -> None:
        """A listener that breaks must not stop the reading; it fails the job."""
        try:
            listen(*what)
        except Exception as error:
            _log.exception("listener of a run broke")
            said = f"The platform could not take what the program told ({type(error).__name__})."
            self._stop(Failure("internal", None, said))

    def _hand_over(self) -> None:
        if self._lodge is None or self._given:
            return
        if self._stopped is not None:
            self._end()
            return
        self._given = True
        try:
            self._lodging = self._lodge(self._work)
        except OSError as error:
            said = f"The job's folder could not be given to its program ({error.strerror})."
            self._stop(Failure("internal", None, said))
            return
        self._work = self._lodging.inside
        self._program.hand_over(self._work.path)

    def _answered(self, answer: Result | Error) -> None:
        self._answer = answer
        if self._lodge is not None:
            self._program.drain_log()
            self._end()
        else:
            self._later(_EXIT_SECONDS, self._program.kill)

    def _end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(seconds, call))

    def _expire(self) -> None:
        self._stop(timed_out(self._assignment.timeout_seconds))

    def _stop(self, why: Failure) -> None:
        """Told, then TERM, then KILL. The first reason to stop is the one that counts."""
        if self._stopped is None:
            self._stopped = why
            self._program.send({"type": "cancel"})
            self._later(self._limits.term_seconds, self._force)
            self._later(self._limits.kill_seconds, self._program.kill)

    def _force(self) -> None:
        self._forced = True
        self._program.term()

    def _outcome(self) -> Outcome:
        ended = self._program.exit
        tail = self._tail.decode("utf-8", "replace")
        return Outcome(
            failure=self._failure(ended, tail),
            outputs=tuple(self._outputs.values()),
            metrics=self._metrics,
            exit=ended,
            peak_memory_bytes=(
                self._program.peak_memory_bytes() if ended is None else ended.peak_memory_bytes
            ),
            log_tail=tail,
        )

    def _failure(self, ended: Exit | None, tail: str) -> Failure | None:
        failure = self._told_failure(ended, tail)
        return failure and told_apart(failure, tail)

    def _told_failure(self, ended: Exit | None, tail: str) -> Failure | None:
        """The first reason that holds, from the surest to the vaguest."""
        memory = self._assignment.manifest.resources.memory_bytes
        answer = self._answer
        done = isinstance(answer, Result) and (ended is None or ended.code == 0)
        if self._stopped is not None and not (self._stopped is INTERRUPTED and done):
            return self._stopped
        if ended is not None and ended.cause is not None:
            return failure_of_exit(ended, tail, memory)
        if isinstance(answer, Error):
            return _by_its_own_word(answer)
        if len(self._outputs) > self._limits.artifacts:
            most = self._limits.artifacts
            return Failure("runner_failed", "bad_artifact", f"It declared more than {most} files.")
        if done:
            return None
        return failure_of_exit(ended or Exit(), tail, memory)


def _by_its_own_word(error: Error) -> Failure:
    message = without_host_paths(error.message) or "The program gave no reason."
    if error.code == "cancelled":
        return Failure("runner_failed", "interrupted", message, error.retryable)
    return Failure(error.code, error.reason, message, error.retryable)
