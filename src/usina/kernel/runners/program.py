"""One program and its launcher, seen from the platform's event loop.

Everything is callbacks on readable descriptors: no thread and no task per message, so that a job
of a warm program costs the loop a few system calls.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic_core import from_json, to_json

from usina.kernel.runners.protocol import Lines, Message

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_LAUNCHER: Final = str(Path(__file__).with_name("launcher.py"))
_READ_BYTES: Final = 262_144
MARK: Final = "USINA_TREE"
"""A variable that every process of a tree carries, by which strays can be found."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended; ``refused`` says why it could not even start."""

    code: int | None = None
    signal: int | None = None
    cause: str | None = None
    peak_memory_bytes: int | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What the launcher needs to start a program."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    memory_bytes: int
    processes: int
    file_bytes: int
    open_files: int


class Program:
    """A running program. The callbacks may be exchanged between the jobs of a warm one."""

    def __init__(self, order: Order) -> None:
        self.on_message: Callable[[Message], None] = _ignore
        self.on_log: Callable[[bytes], None] = _ignore
        self.on_exit: Callable[[Exit], None] = _ignore
        self.pid: int | None = None
        self.exit: Exit | None = None
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._mark = uuid.uuid4().hex
        self._lines = Lines()
        self._told_refusals = False
        self._status_rest = b""
        self._ending = Exit()
        self._spawn(order)

    def _spawn(self, order: Order) -> None:
        (out, out_w), (in_r, inward), (log, log_w), (ctl_r, control), (status, sta_w) = (
            os.pipe() for _ in range(5)
        )
        theirs = (ctl_r, sta_w, out_w, in_r, log_w)
        self._out, self._in, self._log, self._control, self._status = (
            out,
            inward,
            log,
            control,
            status,
        )
        try:
            self._launcher = subprocess.Popen(
                [sys.executable, "-I", "-S", _LAUNCHER, *(str(fd) for fd in theirs)],
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                start_new_session=True,
            )
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        for descriptor in (out, log, status, inward):
            os.set_blocking(descriptor, False)
        self._command(_as_order(order, self._mark))
        self._loop.add_reader(out, self._read_out)
        self._loop.add_reader(log, self._read_log)
        self._loop.add_reader(status, self._read_status)

    @property
    def alive(self) -> bool:
        return self.exit is None

    def send(self, message: Mapping[str, Any]) -> None:
        """One line to the program; a program that does not read or is gone gets nothing."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._in, to_json(message) + b"\n")

    def term(self) -> None:
        """TERM to the whole tree."""
        self._command({"type": "term"})

    def kill(self) -> None:
        """KILL to the whole tree; :meth:`gone` returns once it is dead."""
        self._command({"type": "kill"})

    async def gone(self) -> None:
        """Until no process of the tree is left."""
        await asyncio.shield(self._gone)

    def drain_log(self) -> None:
        """Takes what the program has written to its log so far."""
        while self._read_log_once():
            pass

    def peak_memory_bytes(self) -> int | None:
        """The highest resident memory of the main process since the last reset."""
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{self.pid}/status").read_bytes().splitlines():
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None

    def reset_peak(self) -> None:
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/clear_refs").write_bytes(b"5")

    def _command(self, order: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, OSError):
            os.write(self._control, to_json(order) + b"\n")

    def _read_out(self) -> None:
        data = _read(self._out)
        if data is None:
            return
        if not data:
            self._loop.remove_reader(self._out)
            return
        for message in self._lines.feed(data):
            self.on_message(message)
        if self._lines.refused and not self._told_refusals:
            self._told_refusals = True
            self.on_log(b"[usina] lines on descriptor 3 that are no messages were ignored\n")

    def _read_log(self) -> None:
        self._read_log_once()

    def _read_log_once(self) -> bool:
        data = _read(self._log)
        if data:
            self.on_log(data)
        elif data is not None:
            self._loop.remove_reader(self._log)
        return bool(data)

    def _read_status(self) -> None:
        data = _read(self._status)
        if data is None:
            return
        if not data:
            self._loop.remove_reader(self._status)
            self._finish()
            return
        *lines, self._status_rest = (self._status_rest + data).split(b"\n")
        for line in lines:
            told = from_json(line)
            kind = told.pop("type")
            if kind == "started":
                self.pid = told["pid"]
            elif kind == "refused":
                self._ending = Exit(refused=told["message"])
            else:
                self._ending = Exit(**told)

    def _finish(self) -> None:
        """The launcher has gone: orderly with the tree dead, or killed, and then we clear up."""
        orderly = self._ending != Exit()
        if not orderly:
            kill_marked(f"{MARK}={self._mark}".encode())
            self._ending = Exit(signal=signal.SIGKILL, cause="launcher_lost")
        self._launcher.wait()
        while data := _read(self._out):
            for message in self._lines.feed(data):
                self.on_message(message)
        self.drain_log()
        for descriptor in (self._out, self._log):
            self._loop.remove_reader(descriptor)
        for descriptor in (self._out, self._in, self._log, self._control, self._status):
            os.close(descriptor)
        self.exit = self._ending
        self._gone.set_result(None)
        self.on_exit(self._ending)


def kill_marked(mark: bytes) -> int:
    """Kills every process whose environment holds the mark, until none is left."""
    killed = 0
    while found := [pid for pid in _processes() if _carries(pid, mark)]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed += len(found)
    if killed:
        _log.warning("stray processes killed", count=killed)
    return killed


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes() and not _is_zombie(pid)
    except OSError:
        return False


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"


def _read(descriptor: int) -> bytes | None:
    """What is there; empty at the end, null when there is nothing yet."""
    try:
        return os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return None


def _as_order(order: Order, mark: str) -> dict[str, Any]:
    return {
        "argv": list(order.argv),
        "cwd": str(order.cwd),
        "env": {**order.environment, MARK: mark},
        "limits": {
            "memory": order.memory_bytes,
            "processes": order.processes,
            "core": 0,
            "nofile": order.open_files,
            "fsize": order.file_bytes,
        },
    }


def _ignore(_: object) -> None:
    """Nobody is interested between jobs."""
