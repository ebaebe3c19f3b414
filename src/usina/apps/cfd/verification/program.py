"""A model of the room, run by hand as its program stands: what a customer gets."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

RUNNERS: Final = Path(__file__).parents[1] / "runners"


def is_there(model: str) -> bool:
    return (RUNNERS / model / "run.py").is_file()


def run(
    model: str, params: Mapping[str, Any], bed: bytes | None = None
) -> tuple[dict[str, Any], bytes]:
    """Its ``report.json`` and, of a packing, its ``particles.csv``. Raises ``RuntimeError`` with
    the end of what it said, where it failed."""
    with TemporaryDirectory(prefix="verification-") as home:
        folder = Path(home)
        (folder / "inputs").mkdir()
        (folder / "outputs").mkdir()
        if bed is not None:
            (folder / "inputs" / "bed.csv").write_bytes(bed)
        manifest = tomllib.loads((RUNNERS / model / "runner.toml").read_text("utf-8"))
        told = {
            "id": "verification",
            "model": model,
            "model_version": manifest["version"],
            "attempt": 1,
            "params": _whole(manifest["params"], params),
            "inputs": {"bed": ["inputs/bed.csv"]} if bed is not None else {},
            "checkpoint": None,
            "cores": os.cpu_count() or 1,
        }
        (folder / "job.json").write_text(json.dumps(told))
        program = [sys.executable, str(RUNNERS / model / "run.py")]
        done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{model} failed: {done.stderr[-2000:]}")
        report = json.loads((folder / "outputs" / "report.json").read_text("utf-8"))
        particles = folder / "outputs" / "particles.csv"
        return report, particles.read_bytes() if particles.is_file() else b""


def _whole(schema: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the defaults filled in, those of their objects too."""
    usual = {name: each["default"] for name, each in schema.items() if "default" in each}
    for name, value in params.items():
        both = isinstance(value, dict) and isinstance(usual.get(name), dict)
        usual[name] = usual[name] | value if both else value
    return usual
