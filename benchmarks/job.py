"""Jobs of a room in this process, on one core, warm, with nobody listening."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from usina.apps.threed.app import app as threed
from usina.kernel.registry import App
from usina.kernel.runners.manifest import load_manifest
from usina_runner import Job


class _Silent:
    """Stands where the platform listens."""

    def send(self, message: dict[str, Any]) -> None:
        del message

    defer = send

    def cancelled(self) -> bool:
        return False


def program(model: str, room: App = threed) -> Callable[..., None]:
    return runpy.run_path(str(room.runners / model / "run.py"))["main"]


def job_in(
    folder: Path, model: str, inputs: dict[str, bytes], room: App = threed, **params: Any
) -> Job:
    """One job in a new ``folder``; parameters that are not given have their defaults."""
    (folder / "inputs").mkdir(parents=True)
    (folder / "outputs").mkdir()
    for name, content in inputs.items():
        (folder / "inputs" / name).write_bytes(content)
    declared = load_manifest(room.runners / model).params
    usual = {name: each["default"] for name, each in declared.items() if "default" in each}
    told = {
        "id": "1",
        "model": model,
        "model_version": "1.0.0",
        "attempt": 1,
        "params": usual | params,
        "inputs": {name: [f"inputs/{name}"] for name in inputs},
        "checkpoint": None,
        "cores": 1,
    }
    (folder / "job.json").write_text(json.dumps(told))
    return Job(folder, _Silent())
