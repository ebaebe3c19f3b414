"""A stand-in as an operator has a model: a checkout, and a Python environment of its own."""

import json
import shutil
import site
import sys
import venv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

MODELS = Path(__file__).parent
RUNNERS = MODELS.parents[1] / "runners"


@cache
def environment_python() -> Path:
    """With the pretended libraries, and what the stand-ins need of the tests' own environment."""
    folder = Path(mkdtemp(prefix="usina-models-"))
    venv.create(folder, with_pip=False, symlinks=True)
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / minor / "site-packages"
    shutil.copytree(MODELS / "pretend", packages, dirs_exist_ok=True)
    (packages / "tests.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin" / "python"


def install(
    name: str, folder: Path, fault: str = "", seconds: Mapping[str, float] | None = None
) -> Path:
    """A checkout of a stand-in; its script's folder."""
    home = folder / name
    shutil.copytree(MODELS / name, home)
    if fault:
        (home / "fault").write_text(fault)
    if seconds:
        (home / "seconds.json").write_text(json.dumps(dict(seconds)))
    return home
