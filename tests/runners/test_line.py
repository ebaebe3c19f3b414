"""Warm programs in line: who is loaded ahead, who is worn, who has to leave."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.runners.stage import Stage, alive, processes_at, until
from tests.runners.test_warm import Make
from usina.kernel.runners.limits import RunnerLimits
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import RunnerPool

WARM = 'mode = "warm"'
HOLDS = """\
kept = []

def main(job):
    kept.append(bytearray(b"x" * job.params.get("bytes", 0)))
    (job.outputs / "pid").write_text(str(os.getpid()))
    (job.outputs / "count").write_text(str(len(kept)))

usina_runner.run(main)
"""


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage whose programs are worn by little."""
    limits = RunnerLimits(warm_growth=1.0, warm_bytes=200 * 1024**2, warm_idle_seconds=0.2)
    stage = Stage(tmp_path / "work", limits)
    yield stage
    await stage.pool.close()


def waiting(stage: Stage) -> set[str]:
    return {model for model, _ in stage.pool.warm()}


async def count(stage: Stage, program: Manifest, size: int = 0) -> int:
    """How many jobs the program has seen that did this one."""
    act = await stage.play(program, {"bytes": size})
    assert act.failure is None
    return int(act.left("count"))


async def test_one_that_is_loaded_ahead_does_the_job(stage: Stage, runner: Make) -> None:
    program = runner(HOLDS, more=WARM)
    stage.pool.ahead(program, "one", 1)
    stage.pool.ahead(program, "one", 1)
    [ahead] = list(stage.pool._line)  # pyright: ignore[reportPrivateUsage]
    await until(lambda: ahead.program.ready)
    assert await count(stage, program) == 1
    assert ahead.jobs == 1
    assert stage.pool.warm() == {(program.name, "one")}


async def test_one_for_another_organization_is_left_alone(stage: Stage, runner: Make) -> None:
    program = runner(HOLDS, more=WARM)
    stage.pool.ahead(program, "other", 1)
    assert await count(stage, program) == 1
    assert stage.pool.warm() == {(program.name, "one"), (program.name, "other")}


async def test_one_that_died_ahead_costs_nothing(stage: Stage, runner: Make) -> None:
    program = runner(HOLDS, more=WARM)
    stage.pool.ahead(program, "one", 1)
    [ahead] = list(stage.pool._line)  # pyright: ignore[reportPrivateUsage]
    await until(lambda: ahead.program.ready)
    assert ahead.program.pid is not None
    os.kill(ahead.program.pid, signal.SIGKILL)
    assert await count(stage, program) == 1


async def test_cold_programs_and_missing_ones_are_not_loaded(stage: Stage, runner: Make) -> None:
    stage.pool.ahead(runner("pass"), "one", 1)
    gone = runner(HOLDS, more=WARM + '\n[environment]\npython = "/nowhere/python"')
    stage.pool.ahead(gone, "one", 1)
    assert stage.pool.warm() == frozenset()
    assert processes_at(stage.root) == []


async def test_one_that_has_grown_is_replaced_at_once(small: Stage, runner: Make) -> None:
    program = runner(HOLDS, more=WARM)
    assert await count(small, program) == 1
    assert await count(small, program, 100 * 1024**2) == 2
    assert waiting(small) == {program.name}
    assert await count(small, program) == 1


async def test_what_each_job_needs_is_no_growth(small: Stage, runner: Make) -> None:
    program = runner(
        HOLDS.replace("kept.append(bytearray(", "kept.append(0), bytearray(").replace(
            "0)))", "0))"
        ),
        more=WARM,
    )
    assert [await count(small, program, 40 * 1024**2) for _ in range(3)] == [1, 2, 3]


async def test_too_much_memory_sends_the_longest_waiting_away(small: Stage, runner: Make) -> None:
    first, second = runner(HOLDS, more=WARM), runner(HOLDS, more=WARM)
    await count(small, first, 120 * 1024**2)
    assert waiting(small) == {first.name}
    await count(small, second, 120 * 1024**2)
    assert waiting(small) == {second.name}


async def test_held_models_keep_one_program_for_ever(tmp_path: Path, runner: Make) -> None:
    held, other = runner(HOLDS, more=WARM), runner(HOLDS, more=WARM)
    stage = Stage(tmp_path / "work")
    limits = RunnerLimits(warm_idle_seconds=0.05)
    stage.pool = RunnerPool(limits=limits, root=stage.root, held=[held.name])
    await count(stage, held)
    [kept] = list(stage.pool._line)  # pyright: ignore[reportPrivateUsage]
    await count(stage, other)
    await until(lambda: waiting(stage) == {held.name})
    first = kept.leave
    await until(lambda: kept.leave is not first)
    assert waiting(stage) == {held.name}
    assert kept.program.pid is not None
    assert alive(kept.program.pid)
    await stage.pool.close()
    assert processes_at(stage.root) == []
