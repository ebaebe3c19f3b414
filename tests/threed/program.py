"""The room's programs, run in this process as the platform would."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import usina_runner
from usina.apps.threed.app import app
from usina.kernel.runners.manifest import Manifest, load_manifest


class Channel:
    """Stands where the descriptors are; told to, it cancels at a stage."""

    def __init__(self, cancel_at: str | None = None) -> None:
        self.said: list[dict[str, Any]] = []
        self._cancel_at = cancel_at

    def send(self, message: dict[str, Any]) -> None:
        self.said.append(message)

    defer = send

    def cancelled(self) -> bool:
        return any(message.get("stage") == self._cancel_at for message in self.of("progress"))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.said if message["type"] == kind]


def models() -> list[str]:
    """Every model of the room that makes a GLB."""
    names = sorted(path.parent.name for path in app.runners.glob("*/runner.toml"))
    return [name for name in names if "mesh.glb" in manifest(name).outputs]


def manifest(model: str) -> Manifest:
    return load_manifest(app.runners / model)


def defaults(model: str) -> dict[str, Any]:
    declared = manifest(model).params
    return {name: told["default"] for name, told in declared.items() if "default" in told}


def program(model: str) -> dict[str, Any]:
    """What its ``run.py`` defines."""
    return runpy.run_path(str(app.runners / model / "run.py"))


def run(
    model: str, folder: Path, channel: Channel, inputs: dict[str, bytes], **params: Any
) -> dict[str, Any]:
    """One job in ``folder``; its report."""
    (folder / "inputs").mkdir(parents=True)
    (folder / "outputs").mkdir()
    for name, data in inputs.items():
        (folder / "inputs" / name).write_bytes(data)
    job = {
        "id": "1",
        "model": model,
        "model_version": "1.0.0",
        "attempt": 1,
        "params": defaults(model) | params,
        "inputs": {name: [f"inputs/{name}"] for name in inputs},
        "checkpoint": None,
        "cores": 2,
    }
    (folder / "job.json").write_text(json.dumps(job))
    main: Callable[[usina_runner.Job], None] = program(model)["main"]
    main(usina_runner.Job(folder, channel))
    return json.loads((folder / "outputs" / "report.json").read_text())
