"""avatar-studio-v1, run in this process as the platform would."""

import json
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image

import usina_runner
from tests.corpus.images import encode
from tests.threed.program import Channel
from usina.apps.avatars.app import app
from usina.apps.avatars.face import FaceFinder
from usina.kernel.runners.manifest import Manifest, load_manifest

MODEL = "avatar-studio-v1"


def manifest() -> Manifest:
    return load_manifest(app.runners / MODEL)


@cache
def finder() -> FaceFinder:
    return FaceFinder()


@cache
def astronaut() -> Image.Image:
    """Eileen Collins, a NASA photograph in the public domain, 512 x 512."""
    return Image.fromarray(skimage.data.astronaut())


FACE = (176, 66, 97, 97)
"""Where her face is."""


def photo(image: Image.Image | None = None, form: str = "JPEG", **options: object) -> bytes:
    return encode(image or astronaut(), form, **options)


def run(folder: Path, data: bytes, channel: Channel | None = None, **params: Any) -> dict[str, Any]:
    """One job in ``folder``; its report."""
    (folder / "inputs").mkdir(parents=True)
    (folder / "outputs").mkdir()
    (folder / "inputs" / "photo").write_bytes(data)
    job = {
        "id": "1",
        "model": MODEL,
        "model_version": "1.0.0",
        "attempt": 1,
        "params": {"style": "studio", "size": 512, "seed": 0} | params,
        "inputs": {"photo": ["inputs/photo"]},
        "checkpoint": None,
        "cores": 1,
    }
    (folder / "job.json").write_text(json.dumps(job))
    main = runpy.run_path(str(app.runners / MODEL / "run.py"))["main"]
    main(usina_runner.Job(folder, channel or Channel()), finder())
    return json.loads((folder / "outputs" / "report.json").read_text())


def avatar(folder: Path, name: str = "avatar.png") -> np.ndarray:
    with Image.open(folder / "outputs" / name) as image:
        return np.asarray(image.convert("RGB"))


def codes(report: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in report["warnings"]}
