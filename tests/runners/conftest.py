"""A stage per test; whatever was played there is dead and gone at its end."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.runners.stage import Stage, left_of_us, make_runner, processes_at, until
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import RunnerLimits, Sandbox


@pytest.fixture
def limits() -> RunnerLimits:
    return RunnerLimits()


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
async def stage(tmp_path: Path, limits: RunnerLimits, sandbox: Sandbox) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path / "work", limits, sandbox)
    before = left_of_us()
    yield stage
    await stage.pool.close()
    assert processes_at(stage.root) == []
    assert [path.name for path in stage.root.glob("warm-*")] == []
    await until(lambda: left_of_us() == before)


@pytest.fixture
def runner(tmp_path: Path) -> Callable[..., Manifest]:
    """Makes a runner folder: ``runner(program, shell=False, more="")``."""
    names = (f"model-{number}" for number in range(100))
    return lambda program, **options: make_runner(tmp_path / next(names), program, **options)
