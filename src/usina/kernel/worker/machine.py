"""What a worker's machine has to lend to jobs: slots, memory and GPUs by their ids."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usina.kernel.jobs.room import Room

_KEPT_MOST: Final = 1024**3
_ASK_SECONDS: Final = 10.0
_HIDDEN: Final = "CUDA_VISIBLE_DEVICES"
_LIMITS: Final = ("memory.max", "memory/memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Machine:
    """``gpus`` are ids as ``CUDA_VISIBLE_DEVICES`` takes them."""

    slots: int
    memory_bytes: int
    gpus: tuple[str, ...] = ()

    @property
    def room(self) -> Room:
        return Room(self.slots, self.memory_bytes, len(self.gpus))


def this_machine(slots: int, memory_bytes: int | None, gpus: str | None) -> Machine:
    """What is told, and otherwise what is found here.

    ``gpus`` is a number, or ids with commas. Of the memory an eighth, at most 1 GiB, is left to the
    platform itself.
    """
    if memory_bytes is None:
        whole = _memory_here()
        memory_bytes = whole - min(_KEPT_MOST, whole // 8)
    return Machine(slots, memory_bytes, _gpus_here() if gpus is None else _told(gpus))


def _told(gpus: str) -> tuple[str, ...]:
    if not gpus.strip().isdecimal():
        return _ids(gpus)
    count, found = int(gpus), _gpus_here()
    return found[:count] if count <= len(found) else tuple(map(str, range(count)))


def _gpus_here() -> tuple[str, ...]:
    """Those that this process may see; none where the driver's own tool is not there. It lists
    the others when one does not answer, and ends with an error all the same."""
    if (visible := os.environ.get(_HIDDEN)) is not None:
        return tuple(id_ for id_ in _ids(visible) if id_ != "-1")
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    ask = [tool, "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        told = subprocess.run(ask, capture_output=True, timeout=_ASK_SECONDS, text=True)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(line.strip() for line in told.stdout.splitlines() if line.startswith("GPU-"))


def _ids(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _memory_here() -> int:
    """The machine's, or what its control group allows, whichever is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in _LIMITS:
        try:
            told = Path("/sys/fs/cgroup", name).read_text().strip()
        except OSError:
            continue
        if told.isdecimal():
            whole = min(whole, int(told))
    return whole
