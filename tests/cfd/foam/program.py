"""bed-flow-openfoam, run in this process as the platform would, and small cases for it."""

import json
import os
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import usina_runner
from tests.threed.program import Channel
from usina.apps.cfd.app import app
from usina.apps.cfd.foam.installation import find_installation
from usina.apps.cfd.foam.workshop import Workshop
from usina.kernel.runners.manifest import Manifest, load_manifest

MODEL = "bed-flow-openfoam"
FOLDER = app.runners / MODEL
BED = Path(__file__).with_name("bed.csv")
"""Sixty spheres of 10 mm in a tube of 30 mm, poured and shaken."""

COLUMN = FOLDER / "examples" / "column.csv"
"""Five spheres in a zigzag."""

COARSE = {"cells_per_diameter": 5, "surface_level": 0}
COARSEST = json.loads((FOLDER / "examples" / "column.json").read_text())["params"]["mesh"]


class Listening(Channel):
    """Calls ``heard`` with each message, and cancels when that says so."""

    def __init__(self, heard: Callable[[dict[str, Any]], bool]) -> None:
        super().__init__()
        self._heard = heard
        self._cancelled = False

    def send(self, message: dict[str, Any]) -> None:
        super().send(message)
        self._cancelled = self._heard(message) or self._cancelled

    defer = send

    def cancelled(self) -> bool:
        return self._cancelled


def manifest() -> Manifest:
    return load_manifest(FOLDER)


def defaults() -> dict[str, Any]:
    declared = manifest().params
    return {name: told["default"] for name, told in declared.items() if "default" in told}


def prepare(
    folder: Path,
    bed: bytes,
    channel: Channel,
    checkpoint: Path | None = None,
    made: Path | None = None,
    **params: Any,
) -> usina_runner.Job:
    """A job in a fresh work folder, on one core; ``made`` is a mesh for it."""
    (folder / "inputs").mkdir(parents=True)
    (folder / "outputs").mkdir()
    (folder / "inputs" / "bed.csv").write_bytes(bed)
    job = {
        "id": "1",
        "model": MODEL,
        "model_version": "1.0.0",
        "attempt": 1,
        "params": defaults() | params,
        "inputs": {"bed": ["inputs/bed.csv"]} | ({"mesh": [str(made)]} if made else {}),
        "checkpoint": None if checkpoint is None else os.path.relpath(checkpoint, folder),
        "cores": 1,
    }
    (folder / "job.json").write_text(json.dumps(job))
    return usina_runner.Job(folder, channel)


def run(job: usina_runner.Job) -> dict[str, Any]:
    """The whole program; its report."""
    program = runpy.run_path(str(FOLDER / "run.py"))
    program["flow_through"](job)
    return json.loads((job.outputs / "report.json").read_text())


def workshop(folder: Path, silence_seconds: float = 60) -> Workshop:
    folder.mkdir(parents=True, exist_ok=True)
    return Workshop(folder, find_installation(), silence_seconds, lambda: None)


def stand_in(folder: Path, script: str) -> Path:
    """An OpenFOAM whose solver is a shell script and whose other programs are the real ones; what
    ``WM_PROJECT_DIR`` is set to."""
    real = find_installation()
    programs = folder / "platforms" / "linux" / "bin"
    programs.mkdir(parents=True)
    (folder / "etc").symlink_to(real.project / "etc")
    solver = programs / "simpleFoam"
    solver.write_text(f"#!/bin/sh\n{script}\n")
    solver.chmod(0o755)
    return folder
