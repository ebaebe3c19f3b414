"""Which engine paints: a Stable Diffusion server, or diffusers with a folder of this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from usina.apps.avatars.diffusion.folder import FOLDER, BadFolder, check_folder

SERVER: Final = "STABLE_DIFFUSION_URL"
AUTH: Final = "STABLE_DIFFUSION_AUTH"
SAMPLER: Final = "STABLE_DIFFUSION_SAMPLER"
PYTHON: Final = "STABLE_DIFFUSION_PYTHON"
_NEEDED: Final = ("torch", "diffusers", "transformers", "safetensors", "PIL")
_ASK: Final = (
    "import importlib.util, sys\n"
    "print(' '.join(n for n in sys.argv[1:] if importlib.util.find_spec(n) is None))"
)


class NoEngine(Exception):
    """There is nothing to paint with; the message says what would fix it."""


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A Stable Diffusion server: ``url`` without a path at its end, ``auth`` user and password;
    ``sampler`` is one of its own names, None leaves it as it has it."""

    url: str
    auth: tuple[str, str] | None = None
    sampler: str | None = None


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A diffusers pipeline, and the Python that can load it."""

    folder: Path
    python: str


def find_engine(environment: Mapping[str, str] = os.environ) -> ServerPlace | FolderPlace:
    """The server where one is named, else the folder. Asks neither whether it works. Raises
    `NoEngine`."""
    told = {name: value.strip() for name, value in environment.items() if value.strip()}
    if SERVER in told:
        return _server(told)
    if FOLDER in told:
        for name in (FOLDER, PYTHON):
            if not told.get(name, "/").startswith("/"):
                raise NoEngine(f"{name} takes a whole path, one that begins with /.")
        return FolderPlace(Path(told[FOLDER]), told.get(PYTHON, sys.executable))
    raise NoEngine(
        f"Set {FOLDER} to the folder of a diffusers pipeline, or {SERVER} to the address of a "
        "Stable Diffusion server."
    )


def check_engine(place: ServerPlace | FolderPlace) -> None:
    """What can be known without loading anything or calling anybody; raises `NoEngine`."""
    if isinstance(place, ServerPlace):
        return
    try:
        check_folder(place.folder)
    except BadFolder as bad:
        raise NoEngine(str(bad)) from None
    _check_python(place.python)


def _server(told: Mapping[str, str]) -> ServerPlace:
    url = urlsplit(told[SERVER])
    try:
        named = url.scheme in {"http", "https"} and url.hostname and (url.port or True)
    except ValueError:
        named = False
    if not named or url.query or url.fragment:
        raise NoEngine(f"{SERVER} is no address of a server, like http://127.0.0.1:7860.")
    if url.username is not None:
        raise NoEngine(f"{SERVER} holds a user; say user:password in {AUTH} instead.")
    user, colon, password = told.get(AUTH, "").partition(":")
    if AUTH in told and not (user and colon):
        raise NoEngine(f"{AUTH} is not user:password.")
    return ServerPlace(
        url=url.geturl().rstrip("/"),
        auth=(user, password) if user else None,
        sampler=told.get(SAMPLER),
    )


def _check_python(python: str) -> None:
    """Raises `NoEngine` for one that is not there or lacks what a pipeline needs."""
    how = (
        f"run `usina models install stable-diffusion-img2img`, or set {PYTHON} to a Python that "
        "has torch, diffusers and transformers."
    )
    found = shutil.which(python)
    if found is None:
        raise NoEngine(f"{PYTHON} names no program; {how}")
    try:
        done = subprocess.run(
            [found, "-I", "-c", _ASK, *_NEEDED],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        raise NoEngine(f"What {PYTHON} names is no Python that runs; {how}") from None
    if missing := done.stdout.split():
        raise NoEngine(f"The Python of the diffusers engine lacks {', '.join(missing)}; {how}")
