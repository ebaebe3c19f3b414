"""The makers of beds, run in this process as the platform would."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import usina_runner
from tests.threed.program import Channel
from usina.apps.cfd.app import app
from usina.kernel.runners.manifest import Manifest, load_manifest

V1, BLENDER = "packed-bed-v1", "packed-bed-blender"


def manifest(model: str) -> Manifest:
    return load_manifest(app.runners / model)


def run(
    model: str, folder: Path, channel: Channel | None = None, **params: Any
) -> tuple[dict[str, Any], Channel]:
    """One job in ``folder``; its report and what it said."""
    channel = channel or Channel()
    (folder / "outputs").mkdir(parents=True)
    declared = manifest(model).params
    defaults = {name: told["default"] for name, told in declared.items() if "default" in told}
    job = {
        "id": "1",
        "model": model,
        "model_version": "1.0.0",
        "attempt": 1,
        "params": defaults | {"preview_pixels": 100} | params,
        "inputs": {},
        "checkpoint": None,
        "cores": 2,
    }
    (folder / "job.json").write_text(json.dumps(job))
    program = runpy.run_path(str(app.runners / model / "run.py"))
    main: Callable[[usina_runner.Job, None], None] = program["main"]
    main(usina_runner.Job(folder, channel), None)  # pyright: ignore[reportArgumentType]
    return json.loads((folder / "outputs" / "report.json").read_text()), channel
