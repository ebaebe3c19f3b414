"""Where an installed model lies: ``models/NAME`` of the data folder.

``installed.json`` is written last, in one step, and names the environment that counts; what it does
not name is not installed and goes at the next install. Weights lie beside it and outlive a new
environment.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.reach import INSTALLED
from usina.kernel.runners.terms import Weights

_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]+@")
_WHOLE: Final = "whole"
"""In an environment that was finished; written last."""


class InstallError(Exception):
    """Why a model could not be installed, and what to do about it."""


@contextmanager
def or_by_hand(what: str) -> Generator[None]:
    """A step of an install; its failure also says ``what`` takes its place."""
    try:
        yield
    except InstallError as error:
        raise InstallError(
            f"{error}\n{what}\nNothing counts as installed before all of it is there."
        ) from error


def without_password(text: str) -> str:
    """For people to read: addresses in it lose what stands before their host."""
    return _PASSWORD.sub("", text)


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one model."""

    folder: Path

    @classmethod
    def of(cls, data: Path, name: str) -> "Place":
        return cls(data / INSTALLED / name)

    @property
    def weights(self) -> Path:
        return self.folder / "weights"

    def environment(self, recipe: str) -> Path:
        return self.folder / f"environment-{recipe[:12]}"

    def is_whole(self, recipe: str) -> bool:
        """Whether that environment was made to its end."""
        return (self.environment(recipe) / _WHOLE).exists()

    def finish(self, recipe: str) -> None:
        """That environment is made; it is not made anew where weights are still lacking."""
        (self.environment(recipe) / _WHOLE).touch()

    def weight(self, each: Weights) -> Path:
        return self.weights / each.path

    def index(self, weights: Iterable[Weights]) -> None:
        """Says in the hub's own form which revisions the cached ones are of."""
        for newest in (each.newest for each in weights):
            if newest is not None:
                path = self.weights / newest[0]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(newest[1])

    def installed(self) -> dict[str, Any] | None:
        """What ``installed.json`` says; null where nothing is installed."""
        with contextlib.suppress(OSError, ValueError):
            told: dict[str, Any] = json.loads((self.folder / "installed.json").read_text())
            return told
        return None

    def settle(self, told: Mapping[str, Any]) -> None:
        """From here on this is what is installed."""
        part = self.folder / "installed.json.part"
        with part.open("w") as file:
            file.write(json.dumps(told, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / "installed.json")

    def clear(self, keep: str | None) -> None:
        """Removes environments but that of the recipe ``keep``."""
        for each in self.folder.glob("environment-*"):
            if keep is None or each != self.environment(keep):
                shutil.rmtree(each, ignore_errors=True)

    def remove(self) -> None:
        """All of it; what counts goes first."""
        (self.folder / "installed.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Nobody else installs or removes it meanwhile; raises `InstallError`."""
        self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(f"{self.folder}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InstallError(f"{self.folder.name} is being installed already.") from None
            yield
        finally:
            os.close(lock)


def recipe_of(manifest: Manifest) -> str:
    """What an installation is made of, as a hash: the recipe with the files that it names."""
    assert manifest.install is not None, "asked only of what can be installed"
    told = [manifest.install.model_dump_json()]
    own = (file for file in manifest.install.requirements if not file.startswith("{source}/"))
    told += [(manifest.folder / file).read_text("utf-8") for file in own]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()


def installed_settings(data: Path) -> dict[str, str]:
    """The variables of every installed model, which hold where nobody sets them otherwise."""
    return {name: value for told in _all(data) for name, value in told.get("settings", {}).items()}


def _all(data: Path) -> Iterator[dict[str, Any]]:
    for each in sorted((data / INSTALLED).glob("*/installed.json")):
        told = Place(each.parent).installed()
        if told is not None:
            yield told
