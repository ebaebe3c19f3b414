"""Running programs: cold ones for one job, warm ones that stay for the next job of their model."""

import asyncio
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.outcome import (
    CANCELLED,
    Failure,
    Outcome,
    failure_of_exit,
    timed_out,
)
from usina.kernel.runners.program import Exit, Order, Program, kill_marked
from usina.kernel.runners.protocol import (
    Checkpoint,
    DeclaredArtifact,
    Failed,
    LogLine,
    Message,
    Metric,
    Progress,
    Ready,
    Result,
)
from usina.kernel.runners.work import WorkFolder, sweep

_TAIL_BYTES: Final = 600
_THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class RunnerLimits:
    """Every bound of a program; a cancelled one is told, gets TERM after ``term_seconds`` and
    KILL after ``kill_seconds``."""

    log_bytes: int = 10 * 1024**2
    artifacts: int = 1000
    metrics: int = 1000
    processes: int = 512
    file_bytes: int = 20 * 1024**3
    open_files: int = 4096
    warm_idle_seconds: float = 300.0
    warm_jobs: int = 1000
    warm_count: int = 8
    term_seconds: float = 1.0
    kill_seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """One job for a program; the work folder is ready."""

    manifest: Manifest
    work: WorkFolder
    organization_id: str
    timeout_seconds: float
    cores: int


class Listener(Protocol):
    """Told on the event loop; every method is cheap and synchronous."""

    def progress(self, fraction: float, stage: str | None) -> None: ...

    def log(self, data: bytes) -> None:
        """Output in order, at most ``log_bytes`` of it and a notice where it was cut."""
        ...

    def checkpoint(self, path: Path) -> None: ...


class StopSignal:
    """Asks a run to stop; may be set before the run begins."""

    def __init__(self) -> None:
        self.requested = False
        self._tell: Callable[[], None] | None = None

    def request(self) -> None:
        if not self.requested:
            self.requested = True
            if self._tell is not None:
                self._tell()

    def watch(self, tell: Callable[[], None] | None) -> None:
        """Calls ``tell`` once when the stop is requested, at once if it was."""
        self._tell = tell
        if self.requested and tell is not None:
            tell()


_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Warm:
    """A loaded program between jobs."""

    program: Program
    home: WorkFolder
    jobs: int = 0
    leave: asyncio.TimerHandle | None = None


class RunnerPool:
    """Starts programs, keeps warm ones, and kills them all for real."""

    def __init__(
        self, *, limits: RunnerLimits, root: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """``environment`` holds variables that a manifest may name besides the process's own."""
        self._limits = limits
        self._root = root
        self._environment = {**os.environ, **(environment or {})}
        self._idle: dict[_Key, list[_Warm]] = {}
        self._programs: set[Program] = set()
        self._closing: set[asyncio.Task[None]] = set()

    async def run(self, assignment: Assignment, listener: Listener, stop: StopSignal) -> Outcome:
        """Runs the job to its end, whatever the program does.

        Cancelling the call kills the program's whole tree before it returns.
        """
        if assignment.manifest.mode == "warm":
            return await self._run_warm(assignment, listener, stop)
        program = self._start(assignment, assignment.work.path)
        run = _Run(program, assignment, listener, self._limits)
        try:
            return await run.until_exit(stop)
        finally:
            await self._end(program)

    def warm_models(self) -> frozenset[tuple[str, str]]:
        """Names and versions that wait loaded."""
        return frozenset((name, version) for (name, version, _), idle in self._idle.items() if idle)

    async def close(self) -> None:
        """Kills every program; none is alive afterwards."""
        for idle in self._idle.values():
            for warm in idle:
                _stop_timer(warm)
        self._idle.clear()
        await asyncio.gather(*(self._end(program) for program in list(self._programs)))
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _run_warm(
        self, assignment: Assignment, listener: Listener, stop: StopSignal
    ) -> Outcome:
        key = _key(assignment)
        warm = self._take(key) or self._start_warm(assignment)
        run = _Run(warm.program, assignment, listener, self._limits)
        reusable = False
        try:
            outcome = await run.until_answer(stop)
            reusable = run.answered and warm.program.alive
            return outcome
        finally:
            warm.jobs += 1
            if reusable and warm.jobs < self._limits.warm_jobs and self._limits.warm_count:
                self._keep(key, warm)
            else:
                await self._dismiss(warm)

    def _take(self, key: _Key) -> _Warm | None:
        idle = self._idle.get(key, [])
        while idle:
            warm = idle.pop()
            _stop_timer(warm)
            if warm.program.alive:
                return warm
            self._retire(warm)
        return None

    def _keep(self, key: _Key, warm: _Warm) -> None:
        """Lets the program wait for its next job; the longest waiting one leaves when it is one
        too many."""
        loop = asyncio.get_running_loop()
        self._idle.setdefault(key, []).append(warm)
        warm.leave = loop.call_later(self._limits.warm_idle_seconds, lambda: self._leave(key, warm))
        if sum(len(idle) for idle in self._idle.values()) > self._limits.warm_count:
            oldest = next(key for key, idle in self._idle.items() if idle)
            self._leave(oldest, self._idle[oldest][0])

    def _leave(self, key: _Key, warm: _Warm) -> None:
        _stop_timer(warm)
        self._idle[key].remove(warm)
        self._retire(warm)

    def _retire(self, warm: _Warm) -> None:
        task = asyncio.get_running_loop().create_task(self._dismiss(warm))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _dismiss(self, warm: _Warm) -> None:
        await self._end(warm.program)
        await asyncio.to_thread(warm.home.remove)

    def _start_warm(self, assignment: Assignment) -> _Warm:
        home = WorkFolder.create(self._root, f"warm-{uuid.uuid4().hex[:12]}")
        return _Warm(self._start(assignment, home.path), home)

    def _start(self, assignment: Assignment, home: Path) -> Program:
        manifest = assignment.manifest
        program = Program(
            Order(
                argv=manifest.argv(),
                cwd=home,
                environment=self._allowed(assignment, home),
                memory_bytes=manifest.resources.memory_bytes,
                processes=self._limits.processes,
                file_bytes=self._limits.file_bytes,
                open_files=self._limits.open_files,
            )
        )
        self._programs.add(program)
        return program

    async def _end(self, program: Program) -> None:
        """The tree is gone when this returns, also when the caller is being cancelled."""
        program.kill()
        try:
            await program.gone()
        finally:
            self._programs.discard(program)

    def _allowed(self, assignment: Assignment, home: Path) -> dict[str, str]:
        """The program's whole environment: nothing of the platform's own is in it unasked."""
        manifest = assignment.manifest
        fixed = {
            "PATH": self._environment.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "TMPDIR": str(home),
            "GOMP_SPINCOUNT": "0",
            "PYTHONUNBUFFERED": "1",
            "USINA_RUNNER_MODE": manifest.mode,
            **dict.fromkeys(_THREADS, str(assignment.cores)),
        }
        passed = ("TZ", *manifest.environment.pass_)
        return fixed | {n: self._environment[n] for n in passed if n in self._environment}


class _Run:
    """One job on one program: gathers what it tells and stops it in time."""

    def __init__(
        self, program: Program, assignment: Assignment, listener: Listener, limits: RunnerLimits
    ) -> None:
        self._program = program
        self._assignment = assignment
        self._listener = listener
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._outputs: dict[str, DeclaredArtifact] = {}
        self._metrics: dict[str, float | int | str] = {}
        self._checkpoint: Path | None = None
        self._answer: Result | Failed | None = None
        self._stopped: Failure | None = None
        self._too_many = False
        self._log_bytes = 0
        self._tail = b""
        self._wait_for_exit = True
        program.on_message = self._on_message
        program.on_log = self._on_log
        program.on_exit = self._on_exit

    @property
    def answered(self) -> bool:
        return self._answer is not None

    async def until_exit(self, stop: StopSignal) -> Outcome:
        """A cold job is over when its program is gone."""
        return await self._until_done(stop)

    async def until_answer(self, stop: StopSignal) -> Outcome:
        """A warm job is over when its program has answered, or is gone."""
        self._wait_for_exit = False
        if self._program.pid is not None:
            self._program.reset_peak()
        self._program.send({"type": "run", "work": str(self._assignment.work.path)})
        return await self._until_done(stop)

    async def _until_done(self, stop: StopSignal) -> Outcome:
        if not self._program.alive:
            self._done.set_result(None)
        self._later(self._assignment.timeout_seconds, self._expire)
        stop.watch(self._cancel)
        try:
            await self._done
        finally:
            stop.watch(None)
            for timer in self._timers:
                timer.cancel()
        return self._outcome()

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timers.append(self._loop.call_later(seconds, call))

    def _cancel(self) -> None:
        self._stopped = CANCELLED
        self._program.send({"type": "cancel"})
        self._later(self._limits.term_seconds, self._program.term)
        self._later(self._limits.kill_seconds, self._program.kill)

    def _expire(self) -> None:
        if self._stopped is None:
            self._stopped = timed_out(self._assignment.timeout_seconds)
            self._program.term()
            self._later(self._limits.kill_seconds - self._limits.term_seconds, self._program.kill)

    def _on_message(self, message: Message) -> None:
        match message:
            case Progress(fraction, stage):
                self._listener.progress(fraction, stage)
            case DeclaredArtifact(name=name):
                self._too_many |= len(self._outputs) >= self._limits.artifacts
                self._outputs[name] = message
            case Metric(name, value):
                if len(self._metrics) < self._limits.metrics:
                    self._metrics[name] = value
            case LogLine(level, text):
                self._on_log(f"[{level}] {text}\n".encode())
            case Checkpoint(path):
                self._checkpoint = self._assignment.work.path / path
                self._listener.checkpoint(self._checkpoint)
            case Result() | Failed():
                self._answered_with(message)
            case Ready():
                pass
            case _:
                pass

    def _answered_with(self, answer: Result | Failed) -> None:
        if self._answer is None:
            self._answer = answer
        if not self._wait_for_exit:
            self._program.drain_log()
            self._finish()

    def _on_log(self, data: bytes) -> None:
        left = self._limits.log_bytes - self._log_bytes
        if left <= 0:
            return
        if len(data) > left:
            data = data[:left] + b"\n[usina] the log ends here: it is longer than it may be\n"
            self._log_bytes = self._limits.log_bytes
        self._log_bytes += len(data)
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        self._listener.log(data)

    def _on_exit(self, _: Exit) -> None:
        self._finish()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _outcome(self) -> Outcome:
        exited = self._program.exit
        peaks = [exited.peak_memory_bytes if exited else self._program.peak_memory_bytes()]
        return Outcome(
            failure=self._failure(exited),
            outputs=tuple(self._outputs.values()),
            metrics=self._metrics,
            exit=exited,
            peak_memory_bytes=max((peak for peak in peaks if peak is not None), default=None),
            checkpoint=self._checkpoint,
        )

    def _failure(self, exited: Exit | None) -> Failure | None:
        """The first reason that holds, from the surest to the vaguest."""
        memory = self._assignment.manifest.resources.memory_bytes
        tail = self._tail.decode(errors="replace").strip()
        answer = self._answer
        if exited is not None and exited.cause is not None:
            return failure_of_exit(exited, tail, memory)
        if isinstance(answer, Failed):
            if answer.code == "cancelled" and self._stopped is not None:
                return self._stopped
            return Failure(answer.code, answer.reason, answer.message, answer.retryable)
        if self._too_many:
            most = self._limits.artifacts
            return Failure("runner_failed", "too_many_artifacts", f"It made more than {most}.")
        clean = exited is None or exited.code == 0
        if answer is not None and clean:
            return None
        if self._stopped is not None:
            return self._stopped
        return failure_of_exit(exited or Exit(), tail, memory)


def clear_leftovers(root: Path) -> None:
    """Kills what a dead platform left running below ``root`` and removes its folders."""
    kill_marked(f"HOME={root}/".encode())
    sweep(root)


def _key(assignment: Assignment) -> _Key:
    manifest = assignment.manifest
    owner = "" if manifest.shared else assignment.organization_id
    return manifest.name, manifest.version, owner


def _stop_timer(warm: _Warm) -> None:
    if warm.leave is not None:
        warm.leave.cancel()
        warm.leave = None
