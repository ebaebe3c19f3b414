"""What the program sees of the file system: a mount namespace of its own, read-only but for its
work folder, with its own /proc and /dev/shm, and nothing where other jobs and the platform's data
lie.
"""

import os
import stat
import struct

from usina.kernel.runners.launcher.system import CLONE_NEWNS, call, mount, unshare

_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
_BIND, _REC, _PRIVATE = 1 << 12, 1 << 14, 1 << 18


def separate(writable: str, covered: list[str], kept: list[str], memory_bytes: int) -> None:
    """Gives this process its own view. Raises ``OSError`` where the system does not allow it.

    ``covered`` folders appear empty but for what of ``kept`` and ``writable`` lies in them.
    """
    unshare(CLONE_NEWNS)
    mount("none", "/", "", _REC | _PRIVATE)
    mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC | _RDONLY)
    mount("shm", "/dev/shm", "tmpfs", _NOSUID | _NODEV, f"mode=1777,size={memory_bytes}")
    for folder in covered:
        _cover(folder, [writable, *kept])
    mount(writable, writable, "", _BIND)
    _set_attributes("/", _RDONLY | _NOSUID, 0, _AT_RECURSIVE)
    for path in (writable, "/dev/shm"):
        _set_attributes(path, 0, _RDONLY, 0)


def _cover(folder: str, kept: list[str]) -> None:
    """An empty folder over this one, with what is kept bound into it again."""
    inside = [(path, os.open(path, os.O_PATH)) for path in kept if _lies_in(path, folder)]
    mount("covered", folder, "tmpfs", _NOSUID | _NODEV, "mode=0755,size=1m")
    for path, descriptor in inside:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.makedirs(path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))
        mount(f"/proc/self/fd/{descriptor}", path, "", _BIND | _REC)
        os.close(descriptor)


def _lies_in(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/") and os.path.lexists(path)


def _set_attributes(path: str, put: int, taken: int, flags: int) -> None:
    attributes = struct.pack("QQQQ", put, taken, 0, 0)
    call(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, attributes, len(attributes))
