"""Finding and killing processes that lost their launcher: the backstop, seldom needed.

Orphans of a dead launcher belong to nobody. They are known by a variable in the environment they
began with, by the session of their program, or as children of one that is known so.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_PAUSE_SECONDS: Final = 0.002
_GIVE_UP_SECONDS: Final = 10.0
_ZOMBIE: Final = "Z"


@dataclass(frozen=True, slots=True)
class _Seen:
    pid: int
    parent: int
    session: int


def kill_strays(mark: bytes, session: int | None = None) -> int:
    """Kills every process whose environment holds ``mark`` or that is of ``session``, with all
    below it, until none is left; returns how many. Blocks for some milliseconds."""
    killed: set[int] = set()
    give_up = time.monotonic() + _GIVE_UP_SECONDS
    while strays := _strays(mark, session) - {os.getpid()}:
        if time.monotonic() > give_up:
            _log.error("processes can not be killed", pids=sorted(strays))
            break
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in strays:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        killed |= strays
        time.sleep(_PAUSE_SECONDS)
    if killed:
        _log.warning("stray processes killed", count=len(killed))
    return len(killed)


def carriers(mark: bytes) -> set[int]:
    """Every living process that began with ``mark`` in its environment."""
    return {found.pid for found in _living() if _carries(found.pid, mark)}


def tree_of(mark: bytes) -> set[int]:
    """Every living process that began with ``mark`` in its environment, and all below it."""
    return _strays(mark, None)


def _strays(mark: bytes, session: int | None) -> set[int]:
    seen = _living()
    strays = {found.pid for found in seen if found.session == session or _carries(found.pid, mark)}
    before = 0
    while len(strays) > before:
        before = len(strays)
        strays |= {found.pid for found in seen if found.parent in strays}
    return strays


def _living() -> list[_Seen]:
    return [found for entry in Path("/proc").iterdir() if (found := _look(entry)) is not None]


def _look(entry: Path) -> _Seen | None:
    """A living process; null for what is none."""
    if not entry.name.isdecimal():
        return None
    try:
        fields = (entry / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] == _ZOMBIE:
        return None
    return _Seen(int(entry.name), parent=int(fields[1]), session=int(fields[3]))


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
