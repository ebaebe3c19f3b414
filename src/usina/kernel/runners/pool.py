"""Running programs: cold ones for one job, warm ones that stay for the next job of their model."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from usina.kernel.runners.assignment import Assignment, Devices, Listener, StopSignal
from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.line import Key, Line, Warm
from usina.kernel.runners.lodging import Guests
from usina.kernel.runners.manifest import Manifest, NotInstalled
from usina.kernel.runners.outcome import Failure, Outcome
from usina.kernel.runners.program import Order, Program
from usina.kernel.runners.run import Run
from usina.kernel.runners.sandbox import Sandbox
from usina.kernel.runners.tree import kill_strays, tree_of
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
_DEVICES: Final = "CUDA_VISIBLE_DEVICES"
_THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


class RunnerPool:
    """Starts programs, keeps warm ones, and kills them all for real."""

    def __init__(
        self,
        *,
        limits: RunnerLimits,
        root: Path,
        environment: Mapping[str, str] | None = None,
        sandbox: Sandbox | None = None,
        held: Collection[str] = (),
        devices: Devices | None = None,
    ) -> None:
        """``environment`` holds variables that a manifest may name besides the process's own;
        ``held`` names models of which a warm program stays, however long nobody needs it;
        ``devices`` says whether GPUs are free for a program."""
        self._limits = limits
        self._sandbox = sandbox or Sandbox()
        self._root = root
        self._environment = {**os.environ, **(environment or {})}
        self._guests = Guests()
        self._line = Line(limits, self._retire, held)
        self._devices = devices
        self._programs: dict[Program, tuple[str, ...]] = {}
        self._records: WeakKeyDictionary[Program, dict[str, bool]] = WeakKeyDictionary()
        self._dismissals: set[asyncio.Task[None]] = set()
        self._closed = False

    async def run(self, assignment: Assignment, listener: Listener, stop: StopSignal) -> Outcome:
        """Runs the job to its end, whatever the program does.

        Cancelling the call kills the program's whole tree before it returns.
        """
        try:
            if (reason := await self._clear(assignment)) is not None:
                return Outcome.failed(Failure("unavailable", "gpu_out_of_service", reason))
            if assignment.manifest.mode == "warm":
                return await self._run_warm(assignment, listener, stop)
            return await self._run_cold(assignment, listener, stop)
        except NotInstalled as missing:
            return Outcome.failed(Failure("unavailable", "model_not_installed", str(missing)))

    async def _clear(self, assignment: Assignment) -> str | None:
        """Ends programs that wait on the job's GPUs and can not take it: their memory is its own
        now. Answers why the GPUs are not free, if they are not."""
        mine = set(assignment.devices)
        manifest, owner = assignment.manifest, assignment.organization_id
        key = _key(manifest, owner, assignment.cores, assignment.devices)
        in_the_way = [w for w in self._line if mine.intersection(w.key.devices) and w.key != key]
        for warm in in_the_way:
            self._line.leave(warm)
        await asyncio.gather(*(self._dismiss(warm) for warm in in_the_way))
        if not mine or self._devices is None or self._line.waits(key):
            return None
        reason = await self._devices.freed(assignment.devices)
        self._devices.used(assignment.devices)
        return reason

    def waits_on(self, devices: Collection[str]) -> bool:
        """Whether a program waits loaded on one of the GPUs."""
        return any(not set(devices).isdisjoint(warm.key.devices) for warm in self._line)

    def pids_on(self, devices: Collection[str]) -> set[int]:
        """The processes of programs on the GPUs. Blocks for some milliseconds."""
        there = [p for p, given in self._programs.items() if not set(devices).isdisjoint(given)]
        return set[int]().union(*(tree_of(program.mark) for program in there))

    def warm(self) -> frozenset[tuple[str, str | None]]:
        """Models that wait loaded, each with the organization that it may serve, null for any."""
        return frozenset((warm.key.model, warm.key.organization_id) for warm in self._line)

    def warm_devices(self, manifest: Manifest, organization_id: str) -> list[tuple[str, ...]]:
        """The GPUs on which programs wait loaded that could take such a job, the best one first."""
        owner = None if manifest.shared else organization_id
        waiting = [w.key for w in self._line if w.key.model == manifest.name]
        return [key.devices for key in reversed(waiting) if key.organization_id == owner]

    def next_home(
        self, manifest: Manifest, organization_id: str, cores: int, devices: tuple[str, ...] = ()
    ) -> Path | None:
        """The home of the warm program that would take such a job now."""
        warm = self._line.first(_key(manifest, organization_id, cores, devices))
        return None if warm is None else warm.home

    def home_of(self, work: WorkFolder) -> Path | None:
        """The home of the warm program whose guest the folder was last."""
        return self._guests.home_of(work)

    def ahead(
        self, manifest: Manifest, organization_id: str, cores: int, devices: tuple[str, ...] = ()
    ) -> None:
        """Starts a warm program for a job that is on its way, unless one waits already; none that
        needs GPUs and was given none.

        A hint: what is wrong with the program is told when the job runs.
        """
        key = _key(manifest, organization_id, cores, devices)
        if manifest.mode != "warm" or not self._limits.warm_count or self._line.waits(key):
            return
        if manifest.resources.gpu > len(devices) or (devices and self.waits_on(devices)):
            return
        with contextlib.suppress(NotInstalled, OSError):
            self._line.keep(self._start_warm(key, manifest))

    def forget(self, organization_id: str) -> None:
        """Ends the programs that wait and have worked for the organization alone."""
        for warm in self._line:
            if warm.key.organization_id == organization_id:
                self._line.leave(warm)
                self._retire(warm)

    async def close(self) -> None:
        """Ends every program; none is alive afterwards."""
        self._closed = True
        for warm in self._line:
            self._line.leave(warm)
            self._retire(warm)
        if self._dismissals:
            await asyncio.wait(self._dismissals)
        await asyncio.gather(*(_end(program) for program in tuple(self._programs)))

    async def _run_cold(
        self, assignment: Assignment, listener: Listener, stop: StopSignal
    ) -> Outcome:
        manifest, owner = assignment.manifest, assignment.organization_id
        key = _key(manifest, owner, assignment.cores, assignment.devices)
        program = self._start(manifest, key, assignment.work.path)
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
        manifest, owner = assignment.manifest, assignment.organization_id
        key = _key(manifest, owner, assignment.cores, assignment.devices)
        while warm := self._line.take(key):
            run = self._warm_run(warm, assignment, listener)
            outcome = await self._finish(warm, run, stop)
            if not run.never_begun:
                break
        else:
            warm = self._start_warm(key, manifest)
            run = self._warm_run(warm, assignment, listener)
            outcome = await self._finish(warm, run, stop)
        if warm.worn(self._limits) and not self._closed:
            self.ahead(manifest, owner, assignment.cores, assignment.devices)
        return outcome

    def _warm_run(self, warm: Warm, assignment: Assignment, listener: Listener) -> Run:
        lodge = partial(self._guests.lodge, home=warm.home)
        return Run(warm.program, assignment, listener, self._limits, lodge)

    async def _finish(self, warm: Warm, run: Run, stop: StopSignal) -> Outcome:
        try:
            return self._noted(await run.finish(stop), warm.program)
        finally:
            warm.worked()
            if not run.reusable or not await _tidied(warm.home):
                warm.program.kill()
                await self._dismiss(warm)
            elif warm.worn(self._limits) or not self._limits.warm_count:
                self._retire(warm)
            else:
                self._line.keep(warm)

    def _retire(self, warm: Warm) -> None:
        task = asyncio.get_running_loop().create_task(self._dismiss(warm))
        self._dismissals.add(task)
        task.add_done_callback(self._dismissals.discard)

    async def _dismiss(self, warm: Warm) -> None:
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
        self._programs.pop(program, None)
        for warm in self._line:
            if warm.program is program:
                self._line.leave(warm)
                self._retire(warm)

    def _start_warm(self, key: Key, manifest: Manifest) -> Warm:
        home = self._root / f"warm-{uuid.uuid4().hex[:12]}"
        home.mkdir(0o700, parents=True)
        try:
            program = self._start(manifest, key, home)
        except BaseException:
            home.rmdir()
            raise
        return Warm(key, program, home)

    def _start(self, manifest: Manifest, key: Key, home: Path) -> Program:
        limits = self._limits
        argv, passed = manifest.argv(), self.passed(manifest)
        order = Order(
            argv=argv,
            cwd=home,
            environment=self._allowed(manifest, key, home),
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
        self._programs[program] = key.devices
        return program

    def passed(self, manifest: Manifest) -> dict[str, str]:
        """The variables that its program sees because the manifest names them."""
        return manifest.passed(self._environment)

    def _allowed(self, manifest: Manifest, key: Key, home: Path) -> dict[str, str]:
        """The program's whole environment: nothing of the platform's own is in it unasked."""
        given = {_DEVICES: ",".join(key.devices)} if manifest.resources.gpu else {}
        zone = {"TZ": self._environment["TZ"]} if "TZ" in self._environment else {}
        return {
            **zone,
            **self.passed(manifest),
            "PATH": self._environment.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "TMPDIR": str(home),
            "GOMP_SPINCOUNT": "0",
            "PYTHONUNBUFFERED": "1",
            "USINA_RUNNER_MODE": manifest.mode,
            **dict.fromkeys(_THREADS, str(key.cores)),
            **given,
        }

    def _noted(self, outcome: Outcome, program: Program) -> Outcome:
        """With the layers that were around the program."""
        if program.pid is None:
            return outcome
        if program not in self._records:
            told = self._sandbox.told(program.layers)
            self._records[program] = {name: not why for name, why in told.items()}
        return replace(outcome, sandbox=self._records[program])


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


def _key(
    manifest: Manifest, organization_id: str, cores: int, devices: tuple[str, ...] = ()
) -> Key:
    owner = None if manifest.shared else organization_id
    return Key(manifest.name, manifest.version, owner, cores, devices)
