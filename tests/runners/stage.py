"""What the tests of this room share: small runner folders, a recording listener, a stage to run
programs on."""

import asyncio
import itertools
import os
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usina.kernel.runners.gate import Value
from usina.kernel.runners.manifest import Manifest, load_manifest
from usina.kernel.runners.outcome import Outcome
from usina.kernel.runners.pool import (
    Assignment,
    RunnerLimits,
    RunnerPool,
    Sandbox,
    StopSignal,
)
from usina.kernel.runners.work import Output, WorkFolder

HEAD = """\
name = "{name}"
version = "1.0.0"
task = "test"
description = "A program of a test."
license = "MIT"
"""
PYTHON = """\
import json, os, signal, subprocess, sys, time
import usina_runner
def told(*pids):
    return " ".join(map(str, [os.stat("/proc/self/ns/pid").st_ino, *(pids or [os.getpid()])]))
def attempt(act):
    try:
        return str(act())
    except OSError as error:
        return f"refused: {error.strerror}"
"""
"""``told`` is what a program says of its processes; `processes_of` finds them out here. ``attempt``
answers what was refused instead of failing."""


def make_runner(folder: Path, program: str, *, shell: bool = False, more: str = "") -> Manifest:
    """A runner folder around a program: the body of ``run.py``, or of ``run.sh``."""
    folder.mkdir(parents=True)
    command = '["sh", "run.sh"]' if shell else '["{python}", "run.py"]'
    text = textwrap.dedent(program)
    (folder / ("run.sh" if shell else "run.py")).write_text(text if shell else PYTHON + text)
    head = HEAD.format(name=folder.name) + f"command = {command}\n"
    (folder / "runner.toml").write_text(head + textwrap.dedent(more))
    return load_manifest(folder)


@dataclass
class Recorder:
    """Keeps all it is told; ``on_progress`` is called for each step."""

    steps: list[tuple[float, str | None]] = field(default_factory=list[tuple[float, str | None]])
    metrics: list[tuple[str, Value]] = field(default_factory=list[tuple[str, Value]])
    output: bytearray = field(default_factory=bytearray)
    checkpoints: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    """By name, with what was in them when they were told of."""
    on_progress: Callable[[str | None], None] = lambda stage: None
    on_log: Callable[[bytes], None] = lambda data: None

    def progress(self, fraction: float, stage: str | None) -> None:
        self.steps.append((fraction, stage))
        self.on_progress(stage)

    def metric(self, name: str, value: Value) -> None:
        self.metrics.append((name, value))

    def log(self, data: bytes) -> None:
        self.output += data
        self.on_log(data)

    def checkpoint(self, name: str, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as file:
            self.checkpoints.append((name, file.read()))

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace")


@dataclass
class Act:
    """One run of one program, to its end."""

    outcome: Outcome
    work: WorkFolder
    told: Recorder
    manifest: Manifest

    @property
    def failure(self) -> tuple[str, str | None] | None:
        failure = self.outcome.failure
        return None if failure is None else (failure.code, failure.reason)

    def outputs(self) -> dict[str, Output]:
        found = self.work.collect(self.manifest, self.outcome.outputs)
        return {output.name: output for output in found}

    def left(self, name: str) -> str:
        """What the program wrote into a file of ``outputs/``."""
        return (self.work.outputs / name).read_text()


class Stage:
    """A pool and a place for work folders."""

    def __init__(
        self, root: Path, limits: RunnerLimits | None = None, sandbox: Sandbox | None = None
    ) -> None:
        self.root = root
        self.pool = RunnerPool(limits=limits or RunnerLimits(), root=root, sandbox=sandbox)
        self._numbers = itertools.count(1)

    def prepare(
        self, manifest: Manifest, params: Mapping[str, Any] | None = None, attempt: int = 1
    ) -> WorkFolder:
        work = WorkFolder.create(self.root, f"job-{next(self._numbers)}")
        work.write_job(
            {
                "id": work.path.name,
                "model": manifest.name,
                "model_version": manifest.version,
                "attempt": attempt,
                "params": dict(params or {}),
                "inputs": {},
                "checkpoint": None,
                "cores": 1,
            }
        )
        return work

    async def play(
        self,
        manifest: Manifest,
        params: Mapping[str, Any] | None = None,
        *,
        work: WorkFolder | None = None,
        told: Recorder | None = None,
        stop: StopSignal | None = None,
        timeout: float = 20,
        organization_id: str = "one",
        attempt: int = 1,
    ) -> Act:
        work = work or self.prepare(manifest, params, attempt)
        told = told or Recorder()
        assignment = Assignment(manifest, work, organization_id, timeout, 1)
        outcome = await self.pool.run(assignment, told, stop or StopSignal())
        return Act(outcome, work, told, manifest)


def alive(pid: int) -> bool:
    """Whether there is such a process, zombies not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes_of(told: str) -> list[int]:
    """The processes that live, of those that a program told by its namespace and their pids in it,
    by their pids out here; zombies not counted."""
    namespace, *pids = (int(word) for word in told.split())
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdecimal() or (entry / "ns/pid").stat().st_ino != namespace:
                continue
            status = (entry / "status").read_text()
        except OSError:
            continue
        inner = int(status.partition("NSpid:")[2].partition("\n")[0].split()[-1])
        if inner in pids and alive(int(entry.name)):
            found.append(int(entry.name))
    return sorted(found)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def processes_at(root: Path) -> list[int]:
    """Processes that began in a work folder below ``root``."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes() if entry.name.isdecimal() else b""
        except OSError:
            continue
        if f"HOME={root}/".encode() in environment:
            found.append(int(entry.name))
    return found


def left_of_us() -> tuple[int, int]:
    """How many processes this one has, and how many descriptors."""
    children = sum(len(p.read_text().split()) for p in Path("/proc/self/task").glob("*/children"))
    return children, len(list(Path("/proc/self/fd").iterdir()))


async def until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for something of another process that nobody tells us of."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)
