"""bed-flow-lbm, run in this process as the platform would."""

import json
from pathlib import Path
from typing import Any

import usina_runner
from tests.threed.program import Channel
from usina.apps.cfd.app import app
from usina.apps.cfd.lattice.flow import flow_through
from usina.kernel.runners.manifest import Manifest, load_manifest

MODEL = "bed-flow-lbm"
COARSE = {"resolution": 8, "length_diameters": 4}


def manifest() -> Manifest:
    return load_manifest(app.runners / MODEL)


def job_in(
    folder: Path, bed: bytes, channel: Channel, checkpoint: Path | None = None, **params: Any
) -> usina_runner.Job:
    """One job in ``folder``."""
    (folder / "inputs").mkdir(parents=True)
    (folder / "outputs").mkdir()
    (folder / "inputs" / "bed.csv").write_bytes(bed)
    usual = {name: each["default"] for name, each in manifest().params.items() if "default" in each}
    job = {
        "id": "1",
        "model": MODEL,
        "model_version": "1.0.0",
        "attempt": 1,
        "params": usual | {"mesh": COARSE, "streamlines": False} | params,
        "inputs": {"bed": ["inputs/bed.csv"]},
        "checkpoint": str(checkpoint) if checkpoint else None,
        "cores": 2,
    }
    (folder / "job.json").write_text(json.dumps(job))
    return usina_runner.Job(folder, channel)


def run(folder: Path, bed: bytes, channel: Channel | None = None, **params: Any) -> dict[str, Any]:
    """One job in ``folder``; its report."""
    flow_through(job_in(folder, bed, channel or Channel(), **params))
    return json.loads((folder / "outputs" / "report.json").read_text())
