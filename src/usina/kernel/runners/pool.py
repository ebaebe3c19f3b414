"""Running programs: cold ones for one job, warm ones that stay for the next job of their model."""

import asyncio
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from usina.kernel.runners.assignment import Assignment, Listener, StopSignal
from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.lodging import Guests
from usina.kernel.runners.manifest import NotInstalled
from usina.kernel.runners.outcome import Failure, Outcome
from usina.kernel.runners.program import Order, Program
from usina.kernel.runners.run import Run
from usina.kernel.runners.sandbox import Sandbox
from usina.kernel.runners.tree import kill_strays
from usina.kernel.runners.work import WorkFolder, empty, sweep

__all__ = [
    "Assignment",
    "Listener",
    "RunnerLimits",
    "RunnerPool",
    "Sandbox",
    "StopSignal",
    "clear_leftovers",
]

_LEAVE_SECONDS: Final = 1.0
_THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class _Key:
    """Jobs that may share a warm program."""

    model: str
    version: str
    organization_id: str | None
    cores: int


@dataclass(slots=True, eq=False)
class _Warm:
    """A warm program; ``home`` is its folder between jobs."""

    key: _Key
    program: Program
    home: Path
    jobs: int = 0
    leave: asyncio.TimerHandle | None = None


class RunnerPool:
    """Starts programs, keeps warm ones, and kills them all for real."""

    def __init__(
        self,
        *,
        limits: RunnerLimits,
        root: Path,
        environment: Mapping[str, str] | None = None,
        sandbox: Sandbox | None = None,
    ) -> None:
        """``environment`` holds variables that a manifest may name besides the process's own."""
        self._limits = limits
        self._sandbox = sandbox or Sandbox()
        self._root = root
        self._environment = {**os.environ, **(environment or {})}
        self._guests = Guests()
        self._idle: list[_Warm] = []
        self._programs: set[Program] = set()
        self._dismissals: set[asyncio.Task[None]] = set()

    async def run(self, assignment: Assignment, listener: Listener, stop: StopSignal) -> Outcome:
        """Runs the job to its end, whatever the program does.

        Cancelling the call kills the program's whole tree before it returns.
        """
        try:
            if assignment.manifest.mode == "warm":
                return await self._run_warm(assignment, listener, stop)
            return await self._run_cold(assignment, listener, stop)
        except NotInstalled as missing:
            return Outcome.failed(Failure("unavailable", "model_not_installed", str(missing)))

    def warm(self) -> frozenset[tuple[str, str | None]]:
        """Models that wait loaded, each with the organization that it may serve, null for any."""
        return frozenset((warm.key.model, warm.key.organization_id) for warm in self._idle)

    async def close(self) -> None:
        """Ends every program; none is alive afterwards."""
        for warm in tuple(self._idle):
            self._retire(warm)
        if self._dismissals:
            await asyncio.wait(self._dismissals)
        await asyncio.gather(*(_end(program) for program in tuple(self._programs)))

    async def _run_cold(
        self, assignment: Assignment, listener: Listener, stop: StopSignal
    ) -> Outcome:
        program = self._start(assignment, assignment.work.path)
        try:
            outcome = await Run(program, assignment, listener, self._limits).finish(stop)
            return self._noted(outcome, program)
        finally:
            await _end(program)

    async def _run_warm(
        self, assignment: Assignment, listener: Listener, stop: StopSignal
    ) -> Outcome:
        """A program that dies as it is taken from the line costs the job nothing: the next one has
        it. Each time there is one less, and for a fresh one its death counts."""
        while warm := self._take(_key(assignment)):
            run = self._warm_run(warm, assignment, listener)
            outcome = await self._finish(warm, run, stop)
            if not run.never_begun:
                return outcome
        warm = self._start_warm(assignment)
        return await self._finish(warm, self._warm_run(warm, assignment, listener), stop)

    def _warm_run(self, warm: _Warm, assignment: Assignment, listener: Listener) -> Run:
        lodge = partial(self._guests.lodge, home=warm.home)
        return Run(warm.program, assignment, listener, self._limits, lodge)

    async def _finish(self, warm: _Warm, run: Run, stop: StopSignal) -> Outcome:
        try:
            return self._noted(await run.finish(stop), warm.program)
        finally:
            warm.jobs += 1
            if not run.reusable or not await _tidied(warm.home):
                warm.program.kill()
                await self._dismiss(warm)
            elif warm.jobs < self._limits.warm_jobs and self._limits.warm_count:
                self._keep(warm)
            else:
                self._retire(warm)

    def _take(self, key: _Key) -> _Warm | None:
        """The program of the key that worked last, if one waits."""
        for warm in reversed(self._idle):
            if warm.key == key:
                self._leave_line(warm)
                if warm.program.settled():
                    return warm
                self._retire(warm)
                return self._take(key)
        return None

    def _keep(self, warm: _Warm) -> None:
        """Lets the program wait for its next job; of too many the longest waiting one leaves."""
        loop = asyncio.get_running_loop()
        warm.leave = loop.call_later(self._limits.warm_idle_seconds, self._retire, warm)
        self._idle.append(warm)
        if len(self._idle) > self._limits.warm_count:
            self._retire(self._idle[0])

    def _leave_line(self, warm: _Warm) -> None:
        if warm in self._idle:
            self._idle.remove(warm)
        if warm.leave is not None:
            warm.leave.cancel()

    def _retire(self, warm: _Warm) -> None:
        self._leave_line(warm)
        task = asyncio.get_running_loop().create_task(self._dismiss(warm))
        self._dismissals.add(task)
        task.add_done_callback(self._dismissals.discard)

    async def _dismiss(self, warm: _Warm) -> None:
        """Asks a program to leave, and makes it leave; then nothing of it is left."""
        warm.program.send({"type": "exit"})
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await warm.program.gone()
        except TimeoutError:
            await _end(warm.program)
        finally:
            self._guests.forget(warm.home)
            await asyncio.to_thread(WorkFolder(warm.home).remove)

    def _lost(self, program: Program) -> None:
        """The program is gone; one that waited is no longer counted on."""
        self._programs.discard(program)
        for warm in tuple(self._idle):
            if warm.program is program:
                self._retire(warm)

    def _start_warm(self, assignment: Assignment) -> _Warm:
        home = self._root / f"warm-{uuid.uuid4().hex[:12]}"
        home.mkdir(0o700, parents=True)
        try:
            program = self._start(assignment, home)
        except BaseException:
            home.rmdir()
            raise
        return _Warm(_key(assignment), program, home)

    def _start(self, assignment: Assignment, home: Path) -> Program:
        manifest, limits = assignment.manifest, self._limits
        argv, passed = manifest.argv(), manifest.passed(self._environment)
        order = Order(
            argv=argv,
            cwd=home,
            environment=self._allowed(assignment, home),
            memory_bytes=manifest.resources.memory_bytes,
            processes=limits.processes,
            file_bytes=limits.file_bytes,
            open_files=limits.open_files,
            disk_bytes=limits.disk_bytes,
            files=limits.files,
            line_bytes=limits.line_bytes,
            sandbox=self._sandbox.order(manifest, argv, passed, self._root),
        )
        program = Program(order, self._lost)
        self._programs.add(program)
        return program

    def _allowed(self, assignment: Assignment, home: Path) -> dict[str, str]:
        """The program's whole environment: nothing of the platform's own is in it unasked."""
        manifest = assignment.manifest
        zone = {"TZ": self._environment["TZ"]} if "TZ" in self._environment else {}
        return {
            **zone,
            **manifest.passed(self._environment),
            "PATH": self._environment.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "TMPDIR": str(home),
            "GOMP_SPINCOUNT": "0",
            "PYTHONUNBUFFERED": "1",
            "USINA_RUNNER_MODE": manifest.mode,
            **dict.fromkeys(_THREADS, str(assignment.cores)),
        }

    def _noted(self, outcome: Outcome, program: Program) -> Outcome:
        """With the layers that were around the program."""
        if program.pid is None:
            return outcome
        told = self._sandbox.told(program.layers)
        return replace(outcome, sandbox={name: not why for name, why in told.items()})


def clear_leftovers(root: Path) -> None:
    """Kills what a dead platform left running below ``root`` and removes its folders."""
    kill_strays(f"HOME={root}/".encode())
    sweep(root)


async def _tidied(home: Path) -> bool:
    """Empties the home of a warm program between jobs; false where that can not be done."""
    try:
        if os.listdir(home):  # noqa: PTH208
            await asyncio.to_thread(empty, home)
    except OSError:
        return False
    return True


async def _end(program: Program) -> None:
    """Kills the program's tree and returns when it is gone."""
    program.kill()
    await program.gone()


def _key(assignment: Assignment) -> _Key:
    manifest = assignment.manifest
    owner = None if manifest.shared else assignment.organization_id
    return _Key(manifest.name, manifest.version, owner, assignment.cores)
