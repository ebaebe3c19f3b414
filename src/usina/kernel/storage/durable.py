"""Folders whose entries survive a power cut, and into which no symbolic link leads."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_GROUP_DEPTH: Final = 3
"""Folders this deep, such as a job's artifacts, go with their last object."""


class OpenFolder:
    """The folder of a new object, made if need be and held open to be synced."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        self._grown, self._descriptor = _opened(root, path)

    def sync(self, file: Path) -> None:
        """Makes the file and the entries that lead to it durable."""
        _sync(file, os.O_NOFOLLOW)
        os.fsync(self._descriptor)
        for folder in self._grown:
            _sync(folder, os.O_DIRECTORY)
        if os.fstat(self._descriptor).st_nlink == 0:
            self._sync_up()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _sync_up(self) -> None:
        """The folder was emptied and removed meanwhile, and the object's put made it anew."""
        for folder in (self._path, *self._path.parents):
            _sync(folder, os.O_DIRECTORY)
            if folder == self._root:
                return


def _opened(root: Path, path: Path) -> tuple[list[Path], int]:
    """The folders with a new entry, and the folder's descriptor; made once more where its last
    object leaves it at this moment."""
    while True:
        grown = _make(root, path)
        with suppress(FileNotFoundError):
            return grown, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def drop_empty(root: Path, folder: Path) -> None:
    """Removes a folder that its last object has left."""
    if len(folder.relative_to(root).parts) >= _GROUP_DEPTH:
        with suppress(OSError):
            folder.rmdir()


def _make(root: Path, folder: Path) -> list[Path]:
    """Makes the folder and its parents below the root; a link in their place is refused.

    Returns the folders that have a new entry. They are synced after the file, whose own sync has
    then brought most of it to the disk: that is twice as fast as one after the other.
    """
    if folder == root:
        return []
    grown = _make(root, folder.parent)
    try:
        status = folder.lstat()
    except FileNotFoundError:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        return [*grown, folder.parent]
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
    return grown


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
