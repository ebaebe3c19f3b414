"""A job's folder as the guest of a warm program.

A warm program may open only what lies in its home, so a job's folder is moved in for the time of
its run and out again after it: what the program reaches of a job ends with the job, and no other
job's folder is ever there.
"""

import os
from pathlib import Path

from usina.kernel.runners.work import WorkFolder


class Lodging:
    """Moves in at once; raises ``OSError``. ``inside`` is the folder while it is there."""

    def __init__(self, work: WorkFolder, home: Path) -> None:
        self.inside = WorkFolder(home / work.path.name)
        self._work = work
        self._identity = _identity(work.path)
        os.rename(work.path, self.inside.path)  # noqa: PTH104

    def leave(self) -> None:
        """The folder is where it was. One that the program has put something else in place of is
        an empty one, in which the outputs are missing."""
        try:
            os.rename(self.inside.path, self._work.path)  # noqa: PTH104
            same = _identity(self._work.path) == self._identity
        except OSError:
            same = False
        if not same:
            WorkFolder.create(self._work.path.parent, self._work.path.name)


def _identity(path: Path) -> tuple[int, int]:
    seen = os.lstat(path)
    return seen.st_dev, seen.st_ino
