"""The private work folder of one attempt, and what may be taken out of it."""

import os
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic_core import to_json

from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.protocol import DeclaredArtifact

_JOB_FILE: Final = "job.json"


class BadOutput(Exception):
    """A program declared what can not be taken; ``reason`` refines the job's error."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Output:
    """A regular file inside ``outputs/``."""

    path: Path
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """``job.json``, ``inputs/``, ``outputs/``: readable by its owner alone."""

    path: Path

    @classmethod
    def create(cls, root: Path, name: str) -> "WorkFolder":
        """A fresh folder; one that a dead platform left under the name is removed first."""
        work = cls(root / name)
        try:
            work.path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            work.remove()
            work.path.mkdir(mode=0o700, parents=True)
        os.mkdir(work.path / "inputs", 0o700)  # noqa: PTH102  # three times as fast
        os.mkdir(work.path / "outputs", 0o700)  # noqa: PTH102
        return work

    def write_job(self, told: Mapping[str, Any]) -> None:
        """``job.json`` as the contract has it."""
        with open(self.path / _JOB_FILE, "wb") as file:  # noqa: PTH123  # as above
            file.write(to_json(told))

    def collect(self, manifest: Manifest, declared: Sequence[DeclaredArtifact]) -> list[Output]:
        """The declared outputs, and those that the manifest names although nobody declared them.

        Raises :class:`BadOutput` for what is missing or is no plain file inside ``outputs/``.
        """
        outputs = {item.name: self._output(item) for item in declared}
        for name, spec in manifest.outputs.items():
            if name in outputs:
                continue
            if (self.path / "outputs" / name).is_file():
                found = DeclaredArtifact(f"outputs/{name}", name, spec.kind)
                outputs[name] = self._output(found)
            elif spec.required:
                raise BadOutput("missing_output", f"The program made no {name}.")
        return list(outputs.values())

    def _output(self, declared: DeclaredArtifact) -> Output:
        allowed = self.path / "outputs"
        path = self.path / declared.path
        plain = os.path.normpath(path)
        if not plain.startswith(f"{allowed}/") or os.path.realpath(path) != plain:
            raise BadOutput(
                "bad_artifact", f"{declared.path!r} is a link or lies outside outputs/."
            )
        try:
            mode = os.lstat(plain).st_mode
        except OSError:
            raise BadOutput("bad_artifact", f"{declared.path!r} is not there.") from None
        if not stat.S_ISREG(mode):
            raise BadOutput("bad_artifact", f"{declared.path!r} is not a regular file.")
        return Output(Path(plain), declared.name, declared.kind)

    def remove(self) -> None:
        """The folder is gone afterwards, whatever its program did to it."""
        shutil.rmtree(self.path, onerror=_open_and_retry)


def sweep(root: Path) -> int:
    """Removes every folder below ``root``: called when no program can be alive."""
    left = [path for path in root.iterdir() if path.is_dir()] if root.exists() else []
    for path in left:
        WorkFolder(path).remove()
    return len(left)


def _open_and_retry(function: Callable[[str], Any], path: str, _error: object) -> None:
    """A folder that its program closed is opened again; what is gone is gone."""
    try:
        os.chmod(os.path.dirname(path), 0o700)  # noqa: PTH101, PTH120  # rmtree speaks in strings
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
            os.chmod(path, 0o700)  # noqa: PTH101
            shutil.rmtree(path, ignore_errors=True)
        else:
            function(path)
    except FileNotFoundError:
        pass
