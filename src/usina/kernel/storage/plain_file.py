"""From what an untrusted program left to an object: only a plain file, and no way round to it."""

import errno
import os
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from usina.kernel.storage.digest import Digest
from usina.kernel.storage.store import Store

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened on such a way."""

_CHUNK_BYTES: Final = 1024**2
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def opened(path: Path, below: Path) -> Generator[int]:
    """The descriptor of a regular file somewhere below a folder of ours.

    No link is followed on any step of the way, nothing blocks on a pipe, and a file with a second
    name is refused: it may be somebody else's. Raises ``OSError``.
    """
    folder = os.open(below, FOLDER)
    try:
        descriptor = open_below(folder, str(path)[len(str(below)) + 1 :].split("/"))
    finally:
        os.close(folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_below(top: int, steps: Sequence[str]) -> int:
    """The same by the steps from an open folder; the caller closes both."""
    *folders, name = steps
    folder = top
    try:
        for step in folders:
            deeper = os.open(step, FOLDER, dir_fd=folder)
            if folder != top:
                os.close(folder)
            folder = deeper
        descriptor = os.open(name, _FILE, dir_fd=folder)
    finally:
        if folder != top:
            os.close(folder)
    try:
        _check(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check(seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if seen.st_nlink != 1:
        raise OSError(errno.EMLINK, "it is a hard link: the file has another name too")


def put(store: Store, key: str, descriptor: int) -> Digest:
    """Stores what is read from the descriptor, once, hashed on the way; blocks."""
    digest = Digest()
    chunk = os.read(descriptor, _CHUNK_BYTES)
    if len(chunk) < _CHUNK_BYTES:
        digest.update(chunk)
        store.put(key, chunk)
        return digest
    writer = store.writer(key)
    try:
        while chunk:
            digest.update(chunk)
            writer.write(chunk)
            chunk = os.read(descriptor, _CHUNK_BYTES)
        writer.commit()
    except BaseException:
        writer.abort()
        raise
    return digest
