"""One program of OpenFOAM under watch: its output in a file, and its end with all its ranks.

A program gets a session of its own. Open MPI moves ranks into groups of their own, so whoever is
in the session is ended, not a group.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_LOOK_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 0.5
_TAIL_BYTES: Final = 4000


class Silent(Exception):
    """A program said nothing for too long, and was ended."""


@dataclass(slots=True)
class Program:
    """``argv`` runs in ``folder`` with nothing but ``environment``; its output is added to ``log``.

    ``hear`` is told each line; ``between`` is called ten times a second. What either raises ends
    the program with all its children before it goes on up.
    """

    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    silence_seconds: float
    hear: Callable[[str], None] = lambda line: None
    between: Callable[[], None] = lambda: None
    pid: int = 0
    _rest: bytes = field(default=b"", init=False)

    def run(self) -> int:
        """To its end; its exit code, negative for a signal. Raises `Silent`."""
        with self.log.open("ab") as out, self.log.open("rb") as heard:
            heard.seek(0, os.SEEK_END)
            started = subprocess.Popen(
                self.argv,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.pid = started.pid
            try:
                return self._watch(started, heard.read)
            finally:
                end_session(started.pid)
                started.wait()

    def _watch(self, started: "subprocess.Popen[bytes]", read: Callable[[], bytes]) -> int:
        ended = os.pidfd_open(started.pid)
        try:
            return self._listen(started, ended, read)
        finally:
            os.close(ended)

    def _listen(
        self, started: "subprocess.Popen[bytes]", ended: int, read: Callable[[], bytes]
    ) -> int:
        spoken = time.monotonic()
        while True:
            select.select([ended], [], [], _LOOK_SECONDS)
            code = started.poll()
            data = read()
            if data:
                spoken = time.monotonic()
                self._split(data)
            if code is not None:
                return code
            self.between()
            if time.monotonic() - spoken > self.silence_seconds:
                raise Silent(f"It said nothing for {self.silence_seconds:g} s.")

    def _split(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self.hear(line.decode("utf-8", "replace"))


def tail_of(log: Path, limit: int = _TAIL_BYTES) -> str:
    """The last lines of a log, empty when there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - limit))
        return file.read().decode("utf-8", "replace")


def end_session(session: int) -> None:
    """Ends whoever is left in a session: TERM, and half a second later KILL until nobody is."""
    for pid in members(session):
        _signal(pid, signal.SIGTERM)
    until = time.monotonic() + _GRACE_SECONDS
    while (left := members(session)) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS / 10)
    while left:
        for pid in left:
            _signal(pid, signal.SIGKILL)
        time.sleep(_LOOK_SECONDS / 5)
        left = members(session)


def members(session: int) -> list[int]:
    """The living processes of a session; zombies are not."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                state, _, _, of = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(of) == session and state != "Z":
                    found.append(int(entry.name))
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
