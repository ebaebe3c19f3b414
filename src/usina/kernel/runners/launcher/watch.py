"""The tree's memory, number and disk, against their limits."""

import time

from usina.kernel.runners.launcher.disk import Disk, opened
from usina.kernel.runners.launcher.process import (
    members,
    number_in,
    proportional_bytes,
    read,
    resident_bytes,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WATCH_SECONDS = 0.05
_NEAR_SECONDS = 0.02
_QUIET_SECONDS = 0.2
_QUIET_AFTER = 20
_BLOCK = 512


class Watch:
    """Processes share pages, so of several the true share is measured, again when their number or
    sum has changed, but no more than a tenth of the time; between, the cheap sum is scaled. Quiet
    programs are looked at less often.
    """

    def __init__(self, limits: "dict[str, Any]", folder: str, init: "int | None") -> None:
        self.used = 0
        self.peak = 0
        self.count = 0
        self.seconds = _WATCH_SECONDS
        self._limits = limits
        self._init = init
        self._disk = Disk(folder, limits["disk"], limits["files"])
        self._nameless = Nameless(limits["memory"])
        self._measured_sum = self._measured_count = 0
        self._share = 1.0
        self._exact_seconds = 0.0
        self._exact_next = 0.0
        self._unchanged = 0

    def look(self) -> "str | None":
        """Why the tree must die, if it must."""
        began = time.monotonic()
        self._exact_seconds = 0.0
        before, limit = self.used, self._limits["memory"]
        pids = members(self._init, self._limits["processes"])
        if len(pids) > self._limits["processes"]:
            return "too_many_processes"
        self.used = self._measure(pids)
        self.count = len(pids)
        if self.used > limit:
            self.used = min(self.used, proportional_bytes(pids))
        self.peak = max(self.peak, self.used)
        self._unchanged = self._unchanged + 1 if self.used == before else 0
        cause = "out_of_memory" if self.used > limit else None
        cause = cause or self._nameless.look(pids) or self._disk.look(pids)
        cheap = time.monotonic() - began - self._exact_seconds
        self.seconds = max(self._pause(limit), 10 * cheap)
        return cause

    def _measure(self, pids: list[int]) -> int:
        total = resident_bytes(pids)
        if len(pids) < 2:
            self._share, self._measured_count = 1.0, len(pids)
        elif len(pids) != self._measured_count or not 0.9 < total / (self._measured_sum or 1) < 1.1:
            self._measure_exactly(pids, total)
        return int(total * self._share)

    def _measure_exactly(self, pids: list[int], total: int) -> None:
        began = time.monotonic()
        if began < self._exact_next:
            return
        self._measured_sum, self._measured_count = total, len(pids)
        self._share = min(1.0, proportional_bytes(pids) / (total or 1))
        ended = time.monotonic()
        self._exact_seconds = ended - began
        self._exact_next = ended + 10 * self._exact_seconds

    def _pause(self, limit: int) -> float:
        if self._unchanged >= _QUIET_AFTER:
            return _QUIET_SECONDS
        return _NEAR_SECONDS if self.used > limit / 2 else _WATCH_SECONDS


class Nameless:
    """Memory that no process shows as its own: files of memory, and segments that nobody has
    attached. Looked for when the machine's shared memory has grown."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._settled = _shared()

    def look(self, pids: list[int]) -> "str | None":
        shared = _shared()
        self._settled = min(self._settled, shared)
        if shared - self._settled < self._most / 2:
            return None
        held = {
            (seen.st_dev, seen.st_ino): seen.st_blocks * _BLOCK
            for pid in pids
            for seen in opened(pid)
            if not seen.st_nlink
        }
        return "out_of_memory" if sum(held.values()) + _detached() > self._most else None


def _shared() -> int:
    return number_in("/proc/meminfo", b"Shmem:") * 1024


def _detached() -> int:
    """Bytes of System V segments that no process has attached, of our namespace."""
    lines = read("/proc/sysvipc/shm").splitlines()
    if not lines:
        return 0
    names = lines[0].split()
    segments = (dict(zip(names, map(int, line.split()), strict=False)) for line in lines[1:])
    return sum(each[b"rss"] for each in segments if not each[b"nattch"])
