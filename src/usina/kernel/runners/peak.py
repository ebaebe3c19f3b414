"""The highest memory of a living process since a moment, by the kernel's own count."""

import contextlib
import os
from typing import Final

_FIELD: Final = b"VmHWM:"
_ENOUGH: Final = 4096
_RESET_PEAK: Final = b"5"


class PeakMeter:
    """Holds two files of /proc open, so that a reset and a reading cost a system call each."""

    def __init__(self, pid: int) -> None:
        self._descriptors: list[int] = []
        with contextlib.suppress(OSError):
            self._descriptors.append(os.open(f"/proc/{pid}/status", os.O_RDONLY))
            self._descriptors.append(os.open(f"/proc/{pid}/clear_refs", os.O_WRONLY))

    def reset(self) -> None:
        """From here on."""
        if len(self._descriptors) == 2:
            with contextlib.suppress(OSError):
                os.write(self._descriptors[1], _RESET_PEAK)

    def read(self) -> int | None:
        """In bytes; null when the process is gone."""
        try:
            status = os.pread(self._descriptors[0], _ENOUGH, 0)
        except (OSError, IndexError):
            return None
        _, _, rest = status.partition(_FIELD)
        return int(rest.split(None, 1)[0]) * 1024 if rest else None

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())
