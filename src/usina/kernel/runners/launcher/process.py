"""The processes of a tree, by /proc: who they are, and what memory they hold."""

import os
import sys

_PAGE = os.sysconf("SC_PAGE_SIZE")


def members(init: "int | None" = None, most: int = sys.maxsize) -> list[int]:
    """Every process below this one but ``init``, and not many more than ``most``.

    Orphans come to us or to the init of their namespace, so none is missed.
    """
    found: list[int] = []
    front = [os.getpid()]
    while front and len(found) <= most:
        front = [child for pid in front for child in _children(pid)]
        found.extend(front)
    if init in found:
        found.remove(init)
    return found


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def resident_bytes(pids: list[int]) -> int:
    """Cheap, but pages that processes share count once for each."""
    return _PAGE * sum(int((read(f"/proc/{pid}/statm").split() or [b"", 0])[1]) for pid in pids)


def proportional_bytes(pids: list[int]) -> int:
    """The true share of memory; costs milliseconds for a large process."""
    return 1024 * sum(number_in(f"/proc/{pid}/smaps_rollup", b"Pss:") for pid in pids)


def oom_kills() -> int:
    """How often this machine's kernel has killed for want of memory."""
    return number_in("/proc/vmstat", b"oom_kill ")


def number_in(path: str, name: bytes) -> int:
    """The number in the line that begins with the name; 0 where there is none."""
    return int(word_in(path, name))


def word_in(path: str, name: bytes) -> bytes:
    """What follows the name in its line; ``0`` where there is none."""
    for line in read(path).split(b"\n"):
        if line.startswith(name):
            return line.split()[1]
    return b"0"


def read(path: str) -> bytes:
    """A file of the kernel's, which gives a page at a time; empty when its process is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    parts: list[bytes] = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        with os.scandir(f"/proc/{pid}/task") as tasks:
            for task in tasks:
                found.extend(map(int, read(f"{task.path}/children").split()))
    except OSError:
        pass
    return found
