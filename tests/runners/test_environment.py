"""What a program sees of the platform: nothing that was not given to it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runners.stage import Recorder, Stage
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import Assignment, RunnerLimits, RunnerPool, Sandbox, StopSignal

Make = Callable[..., Manifest]
TELL = 'env | sort; echo \'{"type":"result"}\' >&3'


async def test_the_environment_is_an_allow_list(
    tmp_path: Path, runner: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL", "USINA_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("MODEL_WEIGHTS", "/weights")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    stage = Stage(tmp_path / "work")
    stage.pool = RunnerPool(
        limits=RunnerLimits(), root=stage.root, environment={"USINA_MAX_IMAGE_PIXELS": "9"}
    )
    program = runner(
        TELL,
        shell=True,
        more='[environment]\npass = ["MODEL_WEIGHTS", "NOT_SET", "USINA_MAX_IMAGE_PIXELS"]',
    )
    work = stage.prepare(program)
    told = Recorder()
    await stage.pool.run(Assignment(program, work, "one", 9, cores=3), told, StopSignal())
    seen = dict(line.split("=", 1) for line in told.text.splitlines())
    del seen["USINA_TREE"], seen["PWD"]
    assert seen == {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "America/Sao_Paulo",
        "HOME": str(work.path),
        "TMPDIR": str(work.path),
        "GOMP_SPINCOUNT": "0",
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "NUMBA_NUM_THREADS": "3",
        "PYTHONUNBUFFERED": "1",
        "USINA_RUNNER_MODE": "cold",
        "MODEL_WEIGHTS": "/weights",
        "USINA_MAX_IMAGE_PIXELS": "9",
    }
    await stage.pool.close()


class TestWithoutNamespace:
    @pytest.fixture
    def sandbox(self) -> Sandbox:
        return Sandbox("off")

    async def test_the_launcher_holds_no_secret_either(
        self, stage: Stage, runner: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_KEY", "hunter2")
        program = runner(
            "tr '\\0' '\\n' </proc/$PPID/environ; echo '{\"type\":\"result\"}' >&3", shell=True
        )
        act = await stage.play(program)
        assert act.failure is None
        assert act.told.text == ""
