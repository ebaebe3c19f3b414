"""The private folder of one run: ``job.json``, ``inputs/``, ``outputs/``.

What a program leaves there is hostile: it is looked at through descriptors, never through links,
and removed without following, recursing or failing.
"""

import errno
import mimetypes
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, get_args

import structlog
from pydantic_core import to_json

from usina.kernel.runners.manifest import Kind, Manifest
from usina.kernel.runners.protocol import DeclaredArtifact

_KINDS: Final = frozenset(get_args(Kind))
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NAME_LENGTH: Final = 255
_MOST_BLANKS: Final = 65_536
_REMOVE_TRIES: Final = 3
_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class BadOutput(Exception):
    """The job's outputs can not be taken: its failure is ``runner_failed`` with this reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Output:
    """A regular file below ``outputs/`` that the job leaves; ``size`` is in bytes."""

    path: Path
    name: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Only the platform's user may enter it."""

    path: Path

    @classmethod
    def create(cls, root: Path, name: str) -> "WorkFolder":
        """Makes ``root/name`` anew; what a dead platform left there goes first."""
        if name in ("", ".", "..") or "/" in name:
            raise ValueError(f"{name!r} is no name of a folder")
        work = cls(root / name)
        try:
            work.path.mkdir(0o700, parents=True)
        except FileExistsError:
            work.remove()
            work.path.mkdir(0o700)
        (work.path / "inputs").mkdir(0o700)
        work.outputs.mkdir(0o700)
        return work

    @property
    def outputs(self) -> Path:
        return Path(self._outputs)

    @property
    def _outputs(self) -> str:
        return f"{self.path}/outputs"

    def write_job(self, job: Mapping[str, Any]) -> None:
        """Writes ``job.json``: ``{id, model, model_version, attempt, params, inputs, checkpoint,
        cores}`` and a ``notice`` where the model's terms have one, paths relative to this folder.

        A used folder holds the last job's: blanks cover what is longer of it, since cutting a file
        waits for the disk where a write does not.
        """
        text = to_json(job)
        descriptor = os.open(f"{self.path}/job.json", _WRITE, 0o600)
        try:
            seen = os.fstat(descriptor)
            if seen.st_nlink != 1:
                raise OSError(errno.EMLINK, "job.json has another name")
            if seen.st_size > len(text) + _MOST_BLANKS:
                os.ftruncate(descriptor, len(text))
            else:
                text = text.ljust(seen.st_size)
            os.write(descriptor, text)
        finally:
            os.close(descriptor)

    def collect(self, manifest: Manifest, declared: Sequence[DeclaredArtifact]) -> list[Output]:
        """The declared files, and those that the manifest names although nobody declared them,
        each seen to be a regular file below ``outputs/``.

        A name that was declared twice counts as declared last. Raises `BadOutput`.
        """
        by_name = {artifact.name: artifact for artifact in declared}
        try:
            top = self._open_outputs()
        except OSError:
            raise BadOutput("bad_artifact", "The program took its folder outputs/ away.") from None
        try:
            for name, spec in manifest.outputs.items():
                if name in by_name:
                    continue
                if _exists(name, top):
                    by_name[name] = DeclaredArtifact(f"outputs/{name}", name, spec.kind)
                elif spec.required:
                    raise BadOutput("missing_output", f"The program did not make {name!r}.")
            return [self._output(artifact, top) for artifact in by_name.values()]
        finally:
            os.close(top)

    def remove(self) -> None:
        """Removes the folder with all that is in it, however deep or closed.

        What can not be removed, a mount say, is logged and left to the next sweep.
        """
        fault = ""
        for _ in range(_REMOVE_TRIES):
            try:
                _remove(self.path)
                return
            except FileNotFoundError:
                return
            except OSError as error:
                fault = str(error)
        _log.warning("work folder left behind", path=str(self.path), error=fault)

    def inside(self, path: str) -> Path | None:
        """Where a path of the program leads by its letters, null when that is outside outputs/."""
        whole = os.path.normpath(os.path.join(self.path, path))  # noqa: PTH118  # a hot path
        return Path(whole) if whole.startswith(f"{self._outputs}/") else None

    def _open_outputs(self) -> int:
        whole = os.open(self.path, _FOLDER)
        try:
            return os.open("outputs", _FOLDER, dir_fd=whole)
        finally:
            os.close(whole)

    def _output(self, artifact: DeclaredArtifact, top: int) -> Output:
        name = artifact.name
        if artifact.kind not in _KINDS:
            raise _bad(name, f"has the kind {artifact.kind!r}; known are {', '.join(_KINDS)}")
        if not name.isprintable() or "/" in name or not 0 < len(name) <= _NAME_LENGTH:
            raise _bad(name, "has a name that is no plain file name")
        path = self.inside(artifact.path)
        if path is None:
            raise _bad(name, "lies outside outputs/; paths are relative to the work folder")
        try:
            seen = _status(str(path)[len(self._outputs) + 1 :].split("/"), top)
        except OSError as error:
            raise _bad(name, _why(error)) from None
        if not stat.S_ISREG(seen.st_mode):
            raise _bad(name, "is not a regular file")
        if seen.st_nlink != 1:
            raise _bad(name, "is a hard link: the file has another name too")
        return Output(path, name, artifact.kind, seen.st_size)


def input_path(name: str, place: int | None, media_type: str) -> str:
    """``inputs/image.png``, or ``inputs/image-2.png`` of several (``place`` counts from 0); never
    the caller's own name."""
    suffix = mimetypes.guess_extension(media_type) or ".bin"
    return f"inputs/{name}{'' if place is None else f'-{place + 1}'}{suffix}"


def sweep(root: Path, keep: Collection[str] = ()) -> int:
    """Removes what a dead platform left below ``root``, but for the names in ``keep``; returns how
    many folders went."""
    left = [path for path in root.iterdir() if path.name not in keep] if root.is_dir() else []
    for path in left:
        WorkFolder(path).remove()
    return len(left)


def _status(steps: Sequence[str], top: int) -> os.stat_result:
    """Of what the steps from ``top`` lead to; a link on the way is an error, at the end it is
    what is seen."""
    *folders, last = steps
    folder = top
    try:
        for step in folders:
            deeper = os.open(step, _FOLDER, dir_fd=folder)
            if folder != top:
                os.close(folder)
            folder = deeper
        return os.stat(last, dir_fd=folder, follow_symlinks=False)
    finally:
        if folder != top:
            os.close(folder)


def _exists(name: str, top: int) -> bool:
    try:
        os.stat(name, dir_fd=top, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _bad(name: str, why: str) -> BadOutput:
    return BadOutput("bad_artifact", f"The declared artifact {name[:_NAME_LENGTH]!r} {why}.")


def _why(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "is not there"
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "is reached over a link or a file"
    return f"can not be opened ({error.strerror})"


def empty(path: Path) -> None:
    """Removes all that is in a folder. One deeper inside is moved to the top before it is emptied,
    so that neither depth nor the length of a path matters. Raises ``OSError``."""
    fresh = (f".removed-{os.urandom(8).hex()}-{number}" for number in count())
    top = _opened(str(path), None)
    try:
        waiting = list(_emptied(top))
        while waiting:
            name = waiting.pop()
            folder = _opened(name, top)
            try:
                for deeper in _emptied(folder):
                    os.close(_opened(deeper, folder))
                    waiting.append(next(fresh))
                    os.rename(deeper, waiting[-1], src_dir_fd=folder, dst_dir_fd=top)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _remove(path: Path) -> None:
    try:
        empty(path)
    except NotADirectoryError:
        path.unlink()
        return
    path.rmdir()


def _emptied(folder: int) -> Iterator[str]:
    """Unlinks what is no folder and removes empty ones; yields the names of the others."""
    for name in os.listdir(folder):
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            try:
                os.rmdir(name, dir_fd=folder)
            except OSError:
                yield name


def _opened(name: str, parent: int | None) -> int:
    """A folder's descriptor, the folder opened for us where its program closed it."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except PermissionError:
        look = os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=parent)
        try:
            Path(f"/proc/self/fd/{look}").chmod(0o700)
        finally:
            os.close(look)
        folder = os.open(name, _FOLDER, dir_fd=parent)
    if os.fstat(folder).st_mode & 0o700 != 0o700:
        os.fchmod(folder, 0o700)
    return folder
