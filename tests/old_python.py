"""The oldest Python from 3.8 on that this machine has: heavy models live in environments like it.

A machine with no Python 3.8 on PATH, and none of pyenv's or uv's, takes the next one; the head of
the test run says which it was.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

OLDEST, NEWEST = 8, sys.version_info.minor
_PLACES = (
    Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions",
    Path(os.environ.get("UV_PYTHON_INSTALL_DIR", "~/.local/share/uv/python")).expanduser(),
)


@dataclass(frozen=True)
class OldPython:
    """``version`` is as ``3.8.18``."""

    path: Path
    version: str


@cache
def old_python() -> OldPython:
    for path in _candidates():
        if (version := _version(path)) is not None:
            return OldPython(path, version)
    return OldPython(Path(sys.executable), sys.version.split()[0])


def make_environment(folder: Path) -> None:
    """An environment of the old Python with nothing in it."""
    command = [str(old_python().path), "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def _candidates() -> Iterator[Path]:
    for minor in range(OLDEST, NEWEST + 1):
        for place in _PLACES:
            yield from sorted(place.glob(f"*3.{minor}.*/bin/python3.{minor}"))
        if found := shutil.which(f"python3.{minor}"):
            yield Path(found)


def _version(path: Path) -> str | None:
    """Of an interpreter that works and can make environments, else null."""
    code = "import venv, ensurepip, ssl, sys; print(sys.version.split()[0])"
    told = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return told.stdout.strip() if told.returncode == 0 else None
