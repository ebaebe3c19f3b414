"""One program and its launcher, seen from the platform's event loop.

Everything is callbacks on readable descriptors: no thread and no task per message, so that a job
of a warm program costs the loop a few system calls.
"""

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic_core import from_json, to_json

import usina
from usina.kernel.runners.outcome import Exit
from usina.kernel.runners.protocol import Decoder, Message, Ready
from usina.kernel.runners.tree import kill_strays
from usina.kernel.runners.vitals import Vitals

_LAUNCHER: Final = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from usina.kernel.runners.launcher.main import main; main()"
)
_PACKAGES: Final = str(Path(usina.__file__ or "/").parents[1])
_READ_BYTES: Final = 262_144
_PIPE_BYTES: Final = 65_536
_LAST_READS: Final = 64
_FREE_SECONDS: Final = 0.25
_SHARE: Final = 0.1
_STUCK_SECONDS: Final = 2.0
_MARK: Final = "USINA_TREE"


@dataclass(frozen=True, slots=True)
class Order:
    """What the launcher needs to start a program; ``sandbox`` is as `Sandbox.order` says."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    memory_bytes: int
    processes: int
    file_bytes: int
    open_files: int
    disk_bytes: int
    files: int
    line_bytes: int
    sandbox: Mapping[str, Any] | None = None


class Receiver(Protocol):
    """Whom a program speaks to."""

    def message(self, message: Message) -> None: ...

    def log(self, data: bytes) -> None: ...

    def rejected(self) -> None:
        """Lines on descriptor 3 were no messages; told once for each piece that was read."""
        ...

    def exited(self, ended: Exit) -> None:
        """Nothing of the tree is left; the last call."""
        ...


class Program:
    """A running program. Between the jobs of a warm one nobody listens."""

    def __init__(self, order: Order, lost: "Callable[[Program], None]") -> None:
        """``lost`` is called when nothing of the program is left."""
        self.pid: int | None = None
        self._loaded = False
        self.unruly = False
        """It said something that belongs to no job: it must not get another one."""
        self.exit: Exit | None = None
        self.resident_bytes = 0
        """What it held when its memory was last asked for, at the end of a job."""
        self.layers: Mapping[str, str] | None = None
        """Of its sandbox, once it has started: empty when on, else why not; null without one."""
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._receiver: Receiver | None = None
        self._mark = uuid.uuid4().hex
        self._untouched = False
        self._handed = self._sent_since = 0
        self._decoder = Decoder(order.line_bytes)
        self._spent = 0.0
        self._tree_now = self._tree_peak = 0
        self._vitals: Vitals | None = None
        self._ending: Exit | None = None
        self._status_rest = b""
        self._guard: asyncio.TimerHandle | None = None
        self._spawn(order)

    def _spawn(self, order: Order) -> None:
        pipes: list[tuple[int, int]] = []
        try:
            pipes.extend(os.pipe() for _ in range(5))
            (out, their_out), (their_in, inward), (log, their_log), *rest = pipes
            (their_control, control), (status, their_status) = rest
            theirs = (their_control, their_status, their_out, their_in, their_log)
            _give(control, _as_order(order, self._mark))
            self._launcher = _start_launcher(theirs)
        except OSError:
            _close(*(end for pipe in pipes for end in pipe))
            raise
        _close(*theirs)
        self._out, self._in, self._log = out, inward, log
        self._control, self._status = control, status
        for descriptor in (out, inward, log, control, status):
            os.set_blocking(descriptor, False)
        self._loop.add_reader(out, self._read_out)
        self._loop.add_reader(log, self._read_log)
        self._loop.add_reader(status, self._read_status)

    @property
    def mark(self) -> bytes:
        """What stands in the environment of every process that it began."""
        return f"{_MARK}={self._mark}".encode()

    @property
    def ready(self) -> bool:
        """Whether a warm program has loaded; not before it is known how it was started."""
        return self._loaded and self.pid is not None

    @property
    def alive(self) -> bool:
        return self.exit is None and self._ending is None

    def attach(self, receiver: Receiver) -> None:
        """From now on the receiver is told, and the peak of memory is measured anew."""
        self._receiver = receiver
        self._spent = 0.0
        self._tree_peak = self._tree_now
        if (vitals := self._measured()) is not None:
            vitals.reset_peak()

    def detach(self) -> None:
        """What the program still says belongs to no job."""
        self._receiver = None

    def settled(self) -> bool:
        """Whether the program can take another job: alive with no signal on its way, and silent on
        descriptor 3 since its last answer. What it wrote to its log meanwhile is nobody's."""
        vitals = self._measured()
        if self.exit is not None or (vitals is not None and vitals.signalled()):
            return False
        self._take_out()
        self.drain_log()
        return self.alive and not self.unruly

    def send(self, message: Mapping[str, Any]) -> None:
        """One line to the program; one that does not read or is gone gets nothing."""
        self._sent_since += self._write_line(message)

    def hand_over(self, work: Path) -> None:
        """Gives a warm program its job."""
        self._handed = self._write_line({"type": "run", "work": str(work)})
        self._sent_since = 0
        self._untouched = True

    @property
    def untouched(self) -> bool:
        """Whether the program has read no byte of the job that it was handed. What it says until
        then can not be about that job; and if it dies so, the job has not begun."""
        if self._untouched and self.exit is None:
            self._untouched = _unread(self._in) - self._sent_since >= self._handed
        return self._untouched

    def term(self) -> None:
        """TERM to the whole tree."""
        self._command({"type": "term"})

    def kill(self) -> None:
        """KILL to the whole tree; `gone` returns once it is dead."""
        self._command({"type": "kill"})
        if self._guard is None and self.exit is None:
            self._guard = self._loop.call_later(_STUCK_SECONDS, self._launcher.kill)

    async def gone(self) -> None:
        """Until no process of the tree is left."""
        await asyncio.shield(self._gone)

    def drain_log(self) -> None:
        """Takes what the program has written to its log so far."""
        for _ in range(_LAST_READS):
            if not self._take_log():
                return

    def peak_memory_bytes(self) -> int | None:
        """The most memory that the program, or its whole tree, held since `attach`."""
        vitals = self._measured()
        memory = vitals.memory() if vitals is not None else None
        own, peak = memory or (0, 0)
        self.resident_bytes = max(own, self._tree_now)
        return max(peak, self._tree_peak) or None

    def _measured(self) -> Vitals | None:
        """What the kernel tells of the program, once it is known where it runs."""
        if self._vitals is None and self.pid is not None:
            self._vitals = Vitals(self.pid)
        return self._vitals

    def _write_line(self, message: Mapping[str, Any]) -> int:
        """How many bytes the program can read of it."""
        with contextlib.suppress(OSError):
            return os.write(self._in, to_json(message) + b"\n")
        return 0

    def _command(self, order: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            os.write(self._control, to_json(order) + b"\n")

    def _read_out(self) -> None:
        """A program that floods the descriptor gets a bounded share of the loop's time."""
        began = time.perf_counter()
        self._take_out()
        spent = time.perf_counter() - began
        self._spent += spent
        if self._spent > _FREE_SECONDS and self.exit is None:
            self._loop.remove_reader(self._out)
            self._loop.call_later(spent / _SHARE, self._read_on)

    def _read_on(self) -> None:
        if self.exit is None:
            self._loop.add_reader(self._out, self._read_out)

    def _take_out(self) -> bool:
        data = _read(self._out)
        if not data:
            if data is not None:
                self._loop.remove_reader(self._out)
                self.unruly = True
            return False
        before = self._decoder.rejected
        for message in self._decoder.feed(data):
            if isinstance(message, Ready):
                self._loaded = True
                if self.pid is None:
                    continue
            elif self._receiver is None or self.untouched:
                self.unruly = True
                continue
            if self._receiver is not None:
                self._receiver.message(message)
        if self._decoder.rejected > before and self._receiver is not None:
            self._receiver.rejected()
        return True

    def _read_log(self) -> None:
        self._take_log()

    def _take_log(self) -> bool:
        data = _read(self._log)
        if data and self._receiver is not None:
            self._receiver.log(data)
        elif data is not None and not data:
            self._loop.remove_reader(self._log)
        return bool(data)

    def _read_status(self) -> None:
        data = _read(self._status)
        if data is None:
            return
        if not data:
            self._loop.remove_reader(self._status)
            self._launcher_gone()
            return
        *lines, self._status_rest = (self._status_rest + data).split(b"\n")
        for line in lines:
            self._status_line(from_json(line))

    def _status_line(self, told: dict[str, Any]) -> None:
        match told.pop("type"):
            case "started":
                self.pid, self.layers = told["pid"], told["layers"]
                if self._loaded and self._receiver is not None:
                    self._receiver.message(Ready())
            case "memory":
                self._tree_now = told["bytes"]
                self._tree_peak = max(self._tree_peak, self._tree_now)
            case "refused":
                self._ending = Exit(refused=told["message"], missing=told["missing"])
            case _:
                self._ending = Exit(**told)

    def _launcher_gone(self) -> None:
        """Orderly with the tree dead; or killed, and then its tree is ours to kill."""
        if self._ending is not None:
            self._conclude(self._ending)
            return
        mark = self.mark
        killing = self._loop.run_in_executor(None, kill_strays, mark, self.pid)
        killing.add_done_callback(lambda _: self._conclude(Exit(cause="launcher_lost")))

    def _conclude(self, ended: Exit) -> None:
        self._launcher.wait()
        if self._guard is not None:
            self._guard.cancel()
        for _ in range(_LAST_READS):
            if not self._take_out():
                break
        self.drain_log()
        self._untouched = self.untouched
        self.exit = ended
        for descriptor in (self._out, self._log):
            self._loop.remove_reader(descriptor)
        _close(self._out, self._in, self._log, self._control, self._status)
        if self._vitals is not None:
            self._vitals.close()
        self._gone.set_result(None)
        self._lost(self)
        if self._receiver is not None:
            self._receiver.exited(ended)


def _give(control: int, order: Mapping[str, Any]) -> None:
    """The launcher's order, whole: nobody reads it yet, so the pipe must hold it."""
    line = to_json(order) + b"\n"
    if len(line) > _PIPE_BYTES:
        fcntl.fcntl(control, fcntl.F_SETPIPE_SZ, len(line))
    os.write(control, line)


def _start_launcher(theirs: tuple[int, ...]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, _PACKAGES, *map(str, theirs)],
        pass_fds=theirs,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={},
        start_new_session=True,
    )


def _as_order(order: Order, mark: str) -> dict[str, Any]:
    return {
        "argv": list(order.argv),
        "cwd": str(order.cwd),
        "env": {**order.environment, _MARK: mark},
        "limits": {
            "memory": order.memory_bytes,
            "processes": order.processes,
            "core": 0,
            "nofile": order.open_files,
            "fsize": order.file_bytes,
            "disk": order.disk_bytes,
            "files": order.files,
        },
        "sandbox": None
        if order.sandbox is None
        else {**order.sandbox, "writable": os.path.realpath(order.cwd)},
    }


def _read(descriptor: int) -> bytes | None:
    """What is there; empty at the end, null when there is nothing yet."""
    try:
        return os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return None


def _unread(descriptor: int) -> int:
    """How many bytes lie in a pipe; the end that is written to knows it too."""
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
