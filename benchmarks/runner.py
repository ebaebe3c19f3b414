"""What the platform adds to a program, in pairs with the bare program; and what it leaves behind.

Warm: one job, from its work folder to its outcome, over a bare round trip of JSON lines to the same
program. Cold: one job over a bare start of the same interpreter with the same imports. Both with
every layer of the sandbox that this machine allows, and it says which. Then a thousand cold jobs,
after which no process, descriptor or folder may be left.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.bare import Bare
from usina.kernel.runners.gate import Value
from usina.kernel.runners.manifest import Manifest, load_manifest
from usina.kernel.runners.outcome import Outcome
from usina.kernel.runners.pool import Assignment, RunnerLimits, RunnerPool, Sandbox, StopSignal
from usina.kernel.runners.stash import FolderStash

WARM_MOST_MS: Final = 1.5
COLD_MOST_MS: Final = 60.0
_MANIFEST: Final = """
name = "bench-{mode}"
version = "1"
task = "nothing"
description = "Nothing."
license = "MIT"
command = ["{{python}}", "run.py"]
mode = "{mode}"
"""
_PROGRAM: Final = "import usina_runner\nusina_runner.run(lambda job: None)\n"
_JOB: Final = {"id": "1", "model": "bench", "model_version": "1", "attempt": 1, "params": {}}
_ALONE: Final = {**_JOB, "inputs": {}, "checkpoint": None, "cores": 1}


@dataclass
class _Silence:
    """A listener that wants to know nothing."""

    def progress(self, fraction: float, stage: str | None) -> None: ...

    def metric(self, name: str, value: Value) -> None: ...

    def log(self, data: bytes) -> None: ...

    def checkpoint(self, name: str, descriptor: int) -> None: ...


class _Ours:
    """Jobs as a worker runs them, without its database."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.pool = RunnerPool(limits=RunnerLimits(), root=root, sandbox=Sandbox())
        self._folders = FolderStash(root)
        self._manifest = manifest

    async def run(self) -> Outcome:
        home = self.pool.next_home(self._manifest, "one", 1)
        work = self._folders.take(self._manifest, "one", home)
        work.write_job(dict(_ALONE))
        assignment = Assignment(self._manifest, work, "one", 60.0, 1)
        outcome = await self.pool.run(assignment, _Silence(), StopSignal())
        assert outcome.failure is None, outcome
        home = self.pool.home_of(work)
        over = self._folders.give_back(self._manifest, "one", work, home)
        if over is not None:
            over.remove()
        return outcome


def _once(bare: Bare) -> None:
    program, out, inward = bare.start()
    with out, inward:
        assert b"result" in out.read()
    assert program.wait() == 0


def _runner(folder: Path, mode: str) -> Manifest:
    folder.mkdir()
    (folder / "runner.toml").write_text(_MANIFEST.format(mode=mode))
    (folder / "run.py").write_text(_PROGRAM)
    return load_manifest(folder)


async def _timed(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return (time.perf_counter() - began) * 1000


async def _cold(root: Path, manifest: Manifest, pairs: int) -> list[float]:
    """Milliseconds over the bare start, by pair."""
    ours, bare = _Ours(root, manifest), Bare(root, manifest, "cold", _ALONE)

    async def alone() -> None:
        _once(bare)

    over = [await _timed(ours.run) - await _timed(alone) for _ in range(pairs)]
    await ours.pool.close()
    return over


async def _warm(root: Path, manifest: Manifest, pairs: int) -> list[float]:
    """Milliseconds over the bare round trip, by pair."""
    ours, bare = _Ours(root, manifest), Bare(root, manifest, "warm", _ALONE)
    await ours.run()
    program, out, inward = bare.start()
    assert b"ready" in out.readline()
    order = f'{{"type": "run", "work": "{bare.work.path}"}}\n'.encode()

    async def alone() -> None:
        inward.write(order)
        assert b"result" in out.readline()

    with out, inward:
        over = [await _timed(ours.run) - await _timed(alone) for _ in range(pairs)]
        inward.write(b'{"type": "exit"}\n')
        program.wait()
    await ours.pool.close()
    return over


def _left(root: Path) -> tuple[int, int, int]:
    """Processes of ours, descriptors, folders."""
    children = sum(len(p.read_text().split()) for p in Path("/proc/self/task").glob("*/children"))
    descriptors, folders = (len(list(Path(p).iterdir())) for p in ("/proc/self/fd", root))
    return children, descriptors, folders


async def _many(root: Path, manifest: Manifest, jobs: int) -> bool:
    """Whether cold jobs, two at a time, leave nothing."""
    ours = _Ours(root, manifest)
    await ours.run()
    before = _left(root)
    began = time.perf_counter()

    async def several() -> None:
        for _ in range(jobs // 2):
            await ours.run()

    await asyncio.gather(several(), several())
    seconds = time.perf_counter() - began
    after = _left(root)
    names = ("processes", "descriptors", "folders")
    left = ", ".join(f"{a - b} {n}" for a, b, n in zip(after, before, names, strict=True))
    print(f"{jobs} cold jobs, {jobs / seconds:.0f} a second, left {left} (aim none)")
    await ours.pool.close()
    return after == before


async def _main(options: argparse.Namespace, top: Path) -> int:
    root = top / "work"
    cold, warm = _runner(top / "cold", "cold"), _runner(top / "warm", "warm")
    trial = _Ours(root, cold)
    layers = (await trial.run()).sandbox or {}
    print("layers on:", ", ".join(name for name, on in layers.items() if on))
    starts: list[float] = []
    trips: list[float] = []
    for number in range(options.rounds):
        starts.append(statistics.median(await _cold(root, cold, options.pairs)))
        trips.append(statistics.median(await _warm(root, warm, 10 * options.pairs)))
        print(
            f"round {number + 1}: cold +{starts[-1]:.1f} ms, warm +{trips[-1]:.2f} ms", flush=True
        )
    start, trip = statistics.median(starts), statistics.median(trips)
    clean = await _many(root, cold, options.jobs)
    print(
        f"over the bare program: cold {start:.1f} ms (aim at most {COLD_MOST_MS:g}), "
        f"warm {trip:.2f} ms (aim at most {WARM_MOST_MS:g})"
    )
    return int(start > COLD_MOST_MS or trip > WARM_MOST_MS or not clean)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return uvloop.run(_main(options, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
