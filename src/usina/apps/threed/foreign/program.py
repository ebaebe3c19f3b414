"""A foreign program under watch: what it says is heard line by line, and it ends when it has to."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

LOOK_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 0.5
_READ_BYTES: Final = 65_536
_LONGEST_LINE: Final = 65_536
_LINES_KEPT: Final = 60


class Program:
    """``argv`` in ``folder``, in a session of its own, its output read as one.

    What is printed goes to this process's output, but for lines that a progress bar writes over;
    ``hear`` is told both on another thread, and a line that is not whole yet as well. ``inherited``
    are descriptors that it keeps.
    """

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        hear: Callable[[str], None],
        inherited: Sequence[int] = (),
    ) -> None:
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._hear = hear
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=inherited,
        )
        assert self._process.stdout is not None
        self._listener = threading.Thread(
            target=self._listen, args=(self._process.stdout,), daemon=True
        )
        self._listener.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def run(self, between: Callable[[], None]) -> int:
        """To its end; its exit code, below 0 for a signal. ``between`` is called ten times a
        second; whatever it raises ends the program before it goes on up."""
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return self._process.wait(LOOK_SECONDS)
                between()
        finally:
            self.end()

    def end(self) -> int:
        """Dead with all of its session, and everything it said heard."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        code = self._process.wait()
        self._listener.join()
        return code

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _listen(self, output: IO[bytes]) -> None:
        rest = b""
        while data := os.read(output.fileno(), _READ_BYTES):
            *whole, rest = (rest + data).replace(b"\r\n", b"\n").split(b"\n")
            for line in whole:
                self._take(line, printed=True)
            *over, rest = rest.split(b"\r")
            for line in over:
                self._take(line, printed=False)
            if len(rest) > _LONGEST_LINE:
                self._take(rest, printed=True)
                rest = b""
            elif rest:
                self._hear(rest.decode("utf-8", "replace"))
        self._take(rest, printed=True)
        output.close()

    def _take(self, line: bytes, *, printed: bool) -> None:
        for part in filter(None, line.split(b"\r")):
            text = part.decode("utf-8", "replace")
            self.lines.append(text)
            self._hear(text)
        shown = line.rpartition(b"\r")[2].strip()
        if printed and shown:
            print(shown.decode("utf-8", "replace"), flush=True)  # noqa: T201  # the job's log


def how_it_ended(code: int) -> str:
    """For people."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {signal.Signals(-code).name}"
