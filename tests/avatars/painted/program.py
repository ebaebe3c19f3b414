"""stable-diffusion-img2img, run in this process as the platform would."""

import json
from pathlib import Path
from typing import Any

import usina_runner
from tests.threed.program import Channel
from usina.apps.avatars.diffusion.studio import Studio
from usina.kernel.runners.manifest import load_manifest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "runners" / "stable-diffusion-img2img"
MODEL = FOLDER.name
PYTHON = ROOT / ".venv-diffusers" / "bin" / "python"
PLAIN = ROOT / ".venv-diffusers" / "tiny" / "plain"
WHOLE = ROOT / ".venv-diffusers" / "tiny" / "whole"
SCRIPT = FOLDER / "paint.py"


def defaults() -> dict[str, Any]:
    declared = load_manifest(FOLDER).params
    return {name: told["default"] for name, told in declared.items() if "default" in told}


def job(folder: Path, data: bytes, channel: Channel, **params: Any) -> usina_runner.Job:
    (folder / "inputs").mkdir(parents=True)
    (folder / "outputs").mkdir()
    (folder / "inputs" / "photo").write_bytes(data)
    told = {
        "id": "1",
        "model": MODEL,
        "model_version": "1.0.0",
        "attempt": 1,
        "params": defaults() | params,
        "inputs": {"photo": ["inputs/photo"]},
        "checkpoint": None,
        "cores": 1,
    }
    (folder / "job.json").write_text(json.dumps(told))
    return usina_runner.Job(folder, channel)


def run(
    studio: Studio, folder: Path, data: bytes, channel: Channel | None = None, **params: Any
) -> dict[str, Any]:
    """One job in ``folder``; its report."""
    studio.portray(job(folder, data, channel or Channel(), **params))
    return json.loads((folder / "outputs" / "report.json").read_text())
