"""Where a case is worked on: the folder, OpenFOAM's programs in it, and how their ends are told."""

import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from usina.apps.cfd.foam.installation import Installation, NotInstalled, find_installation
from usina.apps.cfd.foam.process import Program, Silent, tail_of
from usina_runner import Failure, Job

LEAST_FREE_BYTES: Final = 64 << 20
"""Less free room than this ends a run before OpenFOAM writes half a field."""

_CASE: Final = "case"
_LINES: Final = 12
_SIGXFSZ: Final = 25
_FULL: Final = ("No space left on device", "Disk quota exceeded", "File too large")
_DIVERGED: Final = ("Foam::sigFpe::sigHandler", "Floating point exception (core dumped)")


@dataclass(slots=True)
class Workshop:
    """``check`` is called while a program runs, and ends it by raising; ``spent_seconds`` is the
    time that programs took so far."""

    folder: Path
    installation: Installation
    silence_seconds: float
    check: Callable[[], None]
    spent_seconds: float = field(default=0.0, init=False)

    def run(
        self,
        name: str,
        *arguments: str,
        reason: str,
        parts: int = 1,
        hear: Callable[[str], None] = lambda line: None,
        between: Callable[[], None] | None = None,
    ) -> None:
        """One program, on ``parts`` ranks. Raises ``Failure``, with ``reason`` where no better one
        is known."""
        began = time.monotonic()
        place = str(self.folder)
        program = Program(
            self._argv(name, arguments, parts),
            self.folder,
            {**self.installation.environment, "PWD": place, "HOME": place},
            self.log_of(name),
            self.silence_seconds,
            hear,
            between or self._watch,
        )
        try:
            code = program.run()
        except Silent as silent:
            raise self.failure("solver_silent", f"{name} was ended. {silent}", name) from None
        finally:
            self.spent_seconds += time.monotonic() - began
        if code:
            raise self._ended(name, code, reason)

    def log_of(self, name: str) -> Path:
        return self.folder / f"log.{name}"

    def empty(self) -> None:
        """Leaves nothing of what was done."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def check_disk(self) -> None:
        """Raises ``Failure`` when hardly anything more could be written."""
        if shutil.disk_usage(self.folder).free < LEAST_FREE_BYTES:
            raise Failure("runner_failed", "disk_full", _DISK, False)

    def failure(self, reason: str, words: str, name: str) -> Failure:
        """With the last lines of the program's log; tried again where that may help."""
        lines = [line for line in tail_of(self.log_of(name)).splitlines() if line.strip()]
        said = "\n".join(lines[-_LINES:])
        return Failure(
            "runner_failed", reason, f"{words}\n{said}".strip(), reason == "solver_killed"
        )

    def _argv(self, name: str, arguments: tuple[str, ...], parts: int) -> list[str]:
        programs = self.installation.programs
        if parts == 1:
            return [programs[name], *arguments]
        return [programs["mpirun"], "-np", str(parts), programs[name], *arguments, "-parallel"]

    def _watch(self) -> None:
        self.check()
        self.check_disk()

    def _ended(self, name: str, code: int, reason: str) -> Failure:
        said = tail_of(self.log_of(name))
        if code == -_SIGXFSZ or any(word in said for word in _FULL):
            return self.failure("disk_full", _DISK, name)
        if any(word in said for word in _DIVERGED) or code == -8:
            return self.failure("diverged", _DIVERGENCE, name)
        if code < 0 or code > 128:
            number = -code if code < 0 else code - 128
            return self.failure("solver_killed", f"{name} was ended by signal {number}.", name)
        return self.failure(reason, f"{name} ended with exit code {code}.", name)


@contextmanager
def working(job: Job, silence_seconds: float) -> Generator[Workshop]:
    """The workshop of a job, in a folder that goes with the context. A disk that is full is told
    as ``disk_full``, an OpenFOAM that is missing as ``model_not_installed``."""
    folder = job.outputs.parent / _CASE
    folder.mkdir()
    try:
        with plain_path(folder) as path:
            yield Workshop(path, _installation(), silence_seconds, job.check_cancelled)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise Failure("runner_failed", "disk_full", _DISK, False) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _installation() -> Installation:
    try:
        return find_installation()
    except NotInstalled as missing:
        raise Failure("unavailable", "model_not_installed", str(missing)) from None


@contextmanager
def plain_path(folder: Path) -> Generator[Path]:
    """Another path to a folder, until the context ends, of letters alone: OpenFOAM drops spaces
    and quotes from the names of the folders that it works in."""
    place = Path(tempfile.mkdtemp(prefix="usina-", dir="/dev/shm"))
    try:
        link = place / folder.name
        link.symlink_to(folder.resolve())
        yield link
    finally:
        shutil.rmtree(place)


_DISK: Final = (
    "There is no room left on the disk of this machine, or for this job, for fields: free some, "
    "or take a smaller mesh."
)
_DIVERGENCE: Final = (
    "The solution diverged: a figure left all bounds. Laminar flow at this velocity may not be "
    "steady; try a lower one, or a finer mesh."
)
