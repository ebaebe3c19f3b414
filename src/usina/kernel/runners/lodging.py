"""A job's folder as the guest of a warm program.

A warm program may open only what lies in its home, so a job's folder is moved in for the time of
its run and out again after it: what the program reaches of a job by a path ends with the job, and
no other job's folder is ever there.
"""

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from usina.kernel.runners.work import WorkFolder
from usina.kernel.storage.plain_file import FOLDER

_Identity = tuple[int, int]


class Guests:
    """Who was where. A program may hold a folder open that was once its guest, so one that goes to
    another program goes as new folders with the same files in them."""

    def __init__(self) -> None:
        self._homes: dict[_Identity, Path] = {}

    def lodge(self, work: WorkFolder, home: Path) -> "Lodging":
        """Moves in; raises ``OSError``."""
        if self._homes.get(_identity(work.path), home) != home:
            _renew(work)
        self._homes[_identity(work.path)] = home
        return Lodging(work, home)

    def home_of(self, work: WorkFolder) -> Path | None:
        """Where the folder was last, if it is still there."""
        with contextlib.suppress(OSError):
            return self._homes.get(_identity(work.path))
        return None

    def forget(self, home: Path) -> None:
        """Its program is gone."""
        self._homes = {guest: kept for guest, kept in self._homes.items() if kept != home}


class Lodging:
    """``inside`` is the folder while it is there."""

    def __init__(self, work: WorkFolder, home: Path) -> None:
        self.inside: Final = WorkFolder(home / work.path.name)
        self._path = str(work.path)
        self._seen = os.lstat(self._path)
        os.rename(self._path, str(self.inside.path))  # a hot path

    def open(self) -> int:
        """The folder itself, whatever its program has put in its place; the caller closes it.

        Raises ``OSError``.
        """
        folder = os.open(self.inside.path, FOLDER)
        if not os.path.samestat(self._seen, os.fstat(folder)):
            os.close(folder)
            raise OSError(errno.ESTALE, "another folder stands in its place")
        return folder

    def leave(self) -> None:
        """The folder is where it was. One that the program has put something else in place of is
        an empty one, in which the outputs are missing."""
        try:
            os.rename(str(self.inside.path), self._path)
            same = os.path.samestat(self._seen, os.lstat(self._path))
        except OSError:
            same = False
        if not same:
            path = Path(self._path)
            WorkFolder.create(path.parent, path.name)


def _renew(work: WorkFolder) -> None:
    root, name = work.path.parent, work.path.name
    old = WorkFolder(root / f"{name}-old")
    old.remove()
    work.path.rename(old.path)
    fresh = WorkFolder.create(root, name)
    brought = [old.path / "job.json", *old.path.glob("inputs/*"), *old.path.glob("checkpoint/*")]
    for path in brought:
        target = fresh.path / path.relative_to(old.path)
        target.parent.mkdir(0o700, exist_ok=True)
        path.rename(target)
    old.remove()


def _identity(path: Path) -> _Identity:
    seen = os.lstat(path)
    return seen.st_dev, seen.st_ino
