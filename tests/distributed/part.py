"""One process of a distributed platform, as an operator starts it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep

READY_SECONDS = 60
_LOOK_SECONDS = 0.02


class Part:
    """Its group is its own, so that nothing else dies with it.

    ``told`` is what it wrote to stdout, line by line; ``log`` all of its stderr.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self._path = folder / f"{name}.log"
        with self._path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
                env=dict(environment),
                start_new_session=True,
            )
        self.told: list[str] = []
        self._news = threading.Condition()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.told.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def ready(self) -> "Part":
        """Itself, once it says that it is ready."""

        def said() -> bool:
            return bool(self.told) or not self._reading.is_alive()

        with self._news:
            self._news.wait_for(said, READY_SECONDS)
        assert self.told, f"{self.name} is not ready:\n{self.log[-3000:]}"
        assert self.told[0].startswith("ready"), self.told
        return self

    @property
    def word(self) -> str:
        """What follows ``ready``: the address of an API, the id of a worker."""
        return self.told[0].partition(" ")[2]

    @property
    def log(self) -> str:
        return self._path.read_text(errors="replace")

    def logged(self, text: str, seconds: float = 30) -> None:
        """Returns when its log has the text."""
        until(lambda: text in self.log, seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds: float = 30) -> int:
        """By TERM; its exit code."""
        self.terminate()
        return self.ended(seconds)

    def ended(self, seconds: float = 30) -> int:
        """Its exit code, once it is gone by itself."""
        return self.process.wait(seconds)

    def hold_still(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Surely gone, with its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._reading.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def usina(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "usina.faces.cli.main", *arguments]


def celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "usina.worker", *arguments]


def until(true: Callable[[], object], seconds: float = 30) -> float:
    """Looks until it is true, for what no event tells of; how many seconds it took."""
    began = monotonic()
    while not true():
        assert monotonic() - began < seconds, "it did not come true"
        sleep(_LOOK_SECONDS)
    return monotonic() - began
