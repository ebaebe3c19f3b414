"""What the kernel's log says of GPUs: Xid, the errors by which NVIDIA's driver reports a fault.

``/dev/kmsg`` gives a record at a read: ``priority,number,microseconds,flags;text`` and a line end
(Linux, Documentation/ABI/testing/dev-kmsg). Mostly only root may read it; without it this source
is missing and nothing else.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usina.kernel.worker.gpu.health import place_of

PLACE: Final = Path("/dev/kmsg")
_RECORD_BYTES: Final = 8192
_KERNEL: Final = 8
"""Priorities from here on are of programs, which may write what they like."""

_XID: Final = re.compile(
    r"NVRM: Xid \((?:PCI:)?([0-9a-f]+):([0-9a-f]+):([0-9a-f]+)[^)]*\): (\d+)(?:, (.*))?",
    re.IGNORECASE,
)
_RECOVERY: Final = 154
_RECOVERED: Final = re.compile(r"changed from \S+ \([^)]*\) to (0x0)\b")
_GRAVE: Final = {
    48: "an uncorrectable error of its memory",
    62: "its power management unit halted",
    64: "a bad row or page of its memory could not be set aside",
    79: "it has fallen off the bus",
    95: "an uncorrectable error of its memory that was not contained",
    119: "its system processor (GSP) does not answer",
    120: "its system processor (GSP) failed",
    140: "an uncorrectable error of its memory",
    143: "it could not be initialized",
    _RECOVERY: "it has to be recovered",
}
"""By NVIDIA's catalogue of Xid errors, those whose remedy is a reset, a restart or a repair. Others
are a program's own (13, 31, 43, 45), or were dealt with (63, 92, 94)."""


@dataclass(frozen=True, slots=True)
class Xid:
    """``place`` is the GPU's address on the bus; ``fault`` is for people, null where the driver
    tells that nothing is to be done any more."""

    place: str
    fault: str | None


class KernelLog:
    """Read from now on, or from its beginning, which is the machine's ``since_boot``."""

    def __init__(self, *, since_boot: bool = False) -> None:
        self.refused: str | None = None
        """Why it can not be read."""
        self._file: int | None = None
        try:
            self._file = os.open(PLACE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if not since_boot:
                os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            self._refuse(error)

    def news(self) -> list[Xid]:
        """Those that were not told before, the oldest first."""
        found = (_xid(line) for record in self._records() for line in record.splitlines())
        return [xid for xid in found if xid is not None]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _records(self) -> Iterator[str]:
        while self._file is not None:
            try:
                record = os.read(self._file, _RECORD_BYTES)
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue  # older ones were written over; the next read goes on behind them
            except OSError as error:
                self._refuse(error)
                return
            if not record:
                return
            yield record.decode("utf-8", "replace")

    def _refuse(self, error: OSError) -> None:
        self.refused = error.strerror or type(error).__name__
        self.close()


def _xid(line: str) -> Xid | None:
    head, _, text = line.partition(";")
    priority = head.partition(",")[0]
    found = _XID.match(text) if priority.isdecimal() and int(priority) < _KERNEL else None
    if found is None or int(found[4]) not in _GRAVE:
        return None
    number, words = int(found[4]), (found[5] or "").strip()
    place = place_of(found[1], found[2], found[3])
    if number == _RECOVERY and _RECOVERED.search(words):
        return Xid(place, None)
    said = f" ({words})" if words else ""
    return Xid(place, f"Xid {number} in the kernel's log: {_GRAVE[number]}{said}")
