"""yolo-onnx, run in this process as the platform would."""

import json
import runpy
from pathlib import Path
from typing import Any

import usina_runner
from tests.threed.program import Channel
from usina.apps.vision.app import app
from usina.apps.vision.network.lodge import Lodge
from usina.kernel.runners.manifest import Manifest, load_manifest

MODEL = "yolo-onnx"


def manifest() -> Manifest:
    return load_manifest(app.runners / MODEL)


def defaults() -> dict[str, Any]:
    return {name: told["default"] for name, told in manifest().params.items() if "default" in told}


def run(
    folder: Path,
    inputs: dict[str, Path | bytes],
    channel: Channel | None = None,
    lodge: Lodge | None = None,
    **params: Any,
) -> dict[str, Any]:
    """One job in ``folder``; its report."""
    (folder / "inputs").mkdir(parents=True)
    (folder / "outputs").mkdir()
    for name, data in inputs.items():
        content = data if isinstance(data, bytes) else data.read_bytes()
        (folder / "inputs" / name).write_bytes(content)
    job = {
        "id": "1",
        "model": MODEL,
        "model_version": "1.0.0",
        "attempt": 1,
        "params": defaults() | params,
        "inputs": {name: [f"inputs/{name}"] for name in inputs},
        "checkpoint": None,
        "cores": 1,
    }
    (folder / "job.json").write_text(json.dumps(job))
    main = runpy.run_path(str(app.runners / MODEL / "run.py"))["main"]
    main(usina_runner.Job(folder, channel or Channel()), lodge or Lodge())
    return json.loads((folder / "outputs" / "report.json").read_text())


def rows(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "outputs" / "detections.ndjson").read_text()
    return [json.loads(line) for line in text.splitlines()]


def codes(report: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in report["warnings"]]
