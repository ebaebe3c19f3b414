"""What a program keeps on the disk, in its work folder and in files that it has deleted and still
holds open.

Files are counted a few thousand at a time, so that memory is not left unwatched meanwhile; again
after a while, and at once when the disk has lost half of what the program may still take.
"""

import errno
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE = 4096
_EVERY_SECONDS = 1.0
_REST = 20
_BLOCK = 512


class Disk:
    def __init__(self, folder: str, most_bytes: int, most_files: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._device = os.stat(folder).st_dev
        self._count: Iterator[tuple[int, int]] | None = None
        self._bytes = self._files = 0
        self._spent = 0.0
        self._next = 0.0
        self._settle(0, 0)

    def look(self, pids: list[int]) -> "str | None":
        """Which limit is passed, if one is."""
        if self._count is None:
            if time.monotonic() < self._next and not self._shrunk():
                return None
            self._bytes = self._files = 0
            self._spent = 0.0
            self._count = _kept(self._folder, self._device, pids)
        return self._go_on(self._count)

    def _go_on(self, count: "Iterator[tuple[int, int]]") -> "str | None":
        began = time.monotonic()
        for _ in range(_AT_ONCE):
            found = next(count, None)
            if found is None:
                self._count = None
                self._next = time.monotonic() + max(_EVERY_SECONDS, _REST * self._spent)
                self._settle(self._bytes, self._files)
                return None
            self._bytes += found[0]
            self._files += found[1]
            if self._bytes > self._most_bytes:
                return "too_much_disk"
            if self._files > self._most_files:
                return "too_many_files"
        self._spent += time.monotonic() - began
        return None

    def _settle(self, used: int, files: int) -> None:
        """From here on a loss of half the rest is a reason to count again."""
        free, names = self._free()
        self._least_free = free - (self._most_bytes - used) // 2
        self._least_names = names - (self._most_files - files) // 2

    def _shrunk(self) -> bool:
        free, names = self._free()
        return free < self._least_free or names < self._least_names

    def _free(self) -> tuple[int, int]:
        seen = os.statvfs(self._folder)
        return seen.f_bfree * seen.f_frsize, seen.f_ffree


def _kept(folder: str, device: int, pids: list[int]) -> "Iterator[tuple[int, int]]":
    """Bytes and files, one by one. A folder that is deeper than a path can be counts without end:
    nobody needs one."""
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen = entry.stat(follow_symlinks=False)
                    yield seen.st_blocks * _BLOCK, 1
                    if stat.S_ISDIR(seen.st_mode):
                        waiting.append(entry.path)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                yield 0, 1 << 62
    yield from ((size, 0) for size in _deleted(pids, device))


def _deleted(pids: list[int], device: int) -> "Iterator[int]":
    """Bytes of files without a name that a process holds."""
    known: set[int] = set()
    for pid in pids:
        for seen in opened(pid):
            if seen.st_dev == device and not seen.st_nlink and seen.st_ino not in known:
                known.add(seen.st_ino)
                yield seen.st_blocks * _BLOCK


def opened(pid: int) -> "Iterator[os.stat_result]":
    """The regular files that a process holds open."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        try:
            seen = os.stat(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if stat.S_ISREG(seen.st_mode):
            yield seen
