"""What the kernel tells of a living process: its memory, and signals it has yet to take."""

import contextlib
import os
from typing import Final

_NOW: Final = b"VmRSS:"
_PEAK: Final = b"VmHWM:"
_PENDING: Final = (b"SigPnd:", b"ShdPnd:")
_BLOCKED: Final = b"SigBlk:"
_ENOUGH: Final = 4096
_RESET_PEAK: Final = b"5"


class Vitals:
    """Holds two files of /proc open, so that a reset and a reading cost a system call each."""

    def __init__(self, pid: int) -> None:
        self._descriptors: list[int] = []
        with contextlib.suppress(OSError):
            self._descriptors.append(os.open(f"/proc/{pid}/status", os.O_RDONLY))
            self._descriptors.append(os.open(f"/proc/{pid}/clear_refs", os.O_WRONLY))

    def reset_peak(self) -> None:
        """From here on."""
        if len(self._descriptors) == 2:
            with contextlib.suppress(OSError):
                os.write(self._descriptors[1], _RESET_PEAK)

    def memory(self) -> tuple[int, int] | None:
        """Bytes held now, and at most since the reset; null when the process is gone."""
        status = self._status()
        now, peak = _words(status, _NOW), _words(status, _PEAK)
        return (int(now[0]) * 1024, int(peak[0]) * 1024) if now and peak else None

    def signalled(self) -> bool:
        """Whether a signal is on its way to the process, KILL say, or the process is gone."""
        status = self._status()
        blocked = _mask(status, _BLOCKED)
        return not status or any(_mask(status, name) & ~blocked for name in _PENDING)

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _status(self) -> bytes:
        try:
            return os.pread(self._descriptors[0], _ENOUGH, 0)
        except (OSError, IndexError):
            return b""


def _mask(status: bytes, name: bytes) -> int:
    words = _words(status, name)
    return int(words[0], 16) if words else 0


def _words(status: bytes, name: bytes) -> list[bytes]:
    """What follows the name in its line."""
    return status.partition(name)[2].partition(b"\n")[0].split()
