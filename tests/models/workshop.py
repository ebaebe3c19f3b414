"""A model's wrapper in this process, as the platform would run it: no sandbox, no second start."""

import json
import os
import runpy
from pathlib import Path
from typing import Any

import pytest

import usina_runner
from tests.models.installed import RUNNERS, environment_python, install
from tests.threed.program import Channel
from usina.kernel.runners.manifest import Manifest, load_manifest

PREFIX = {"sf3d": "SF3D", "spar3d": "SPAR3D", "triposr": "TRIPOSR", "dreamfusion": "DREAMFUSION"}
SCRIPTS = {"dreamfusion": "launch.py"}
STAND_INS = {"dreamfusion": "threestudio"}
IMAGE_MODELS = ("sf3d", "spar3d", "triposr")
BEAR = RUNNERS / "sf3d" / "examples" / "bear.png"


def manifest(runner: str) -> Manifest:
    return load_manifest(RUNNERS / runner)


def program(runner: str) -> dict[str, Any]:
    """What its ``run.py`` defines."""
    return runpy.run_path(str(RUNNERS / runner / "run.py"))


def at_home(
    patch: pytest.MonkeyPatch, runner: str, folder: Path, fault: str = "", **seconds: float
) -> Path:
    """Installs the stand-in of a model and names it, as an operator does; its checkout."""
    checkout = install(STAND_INS.get(runner, runner), folder, fault, seconds)
    prefix = PREFIX[runner]
    patch.setenv(f"{prefix}_PYTHON_PATH", str(environment_python()))
    patch.setenv(f"{prefix}_SCRIPT_PATH", str(checkout / SCRIPTS.get(runner, "run.py")))
    patch.setenv("CUDA_VISIBLE_DEVICES", "GPU-0")
    if runner == "spar3d":
        cuts_out = folder / "cuts-out" / ".transparent-background"
        cuts_out.mkdir(parents=True)
        (cuts_out / "ckpt_base.pth").touch()
        (cuts_out / "config.yaml").touch()
        patch.setenv("TRANSPARENT_BACKGROUND_FILE_PATH", str(cuts_out.parent))
    if runner == "dreamfusion":
        patch.setenv("DREAMFUSION_DIFFUSION_MODEL", "someone/stable-diffusion-2-1-base")
    return checkout


def job_of(runner: str, folder: Path, channel: Channel, **params: Any) -> usina_runner.Job:
    """A job in ``folder``, of the model's example picture."""
    declared = manifest(runner)
    (folder / "inputs").mkdir(parents=True)
    (folder / "outputs").mkdir()
    given = {name: ["inputs/image.png"] for name in declared.inputs}
    for paths in given.values():
        (folder / paths[0]).write_bytes(BEAR.read_bytes())
    defaults = {
        name: told["default"] for name, told in declared.params.items() if "default" in told
    }
    told = {
        "id": "1",
        "model": declared.name,
        "model_version": "1",
        "attempt": 1,
        "params": defaults | params,
        "inputs": given,
        "checkpoint": None,
        "cores": 1,
    }
    (folder / "job.json").write_text(json.dumps(told))
    return usina_runner.Job(folder, channel)  # pyright: ignore[reportArgumentType]


def processes_in(folder: Path) -> list[int]:
    """Those whose program lies in a folder, or works there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                said = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if str(folder) in said:
                found.append(int(entry.name))
    return found
