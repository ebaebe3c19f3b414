"""The keeper of one program: ``main(CONTROL, STATUS, OUT, IN, LOG)``, inherited descriptors.

It starts the program, is the sub-reaper of everything that the program starts, watches the tree,
and kills it whole when the program ends, when it is told to, and when the platform is gone: the
end of the control pipe means *kill all*. Nothing of the tree outlives it.

Control lines (in): the order to start, then ``{"type": "term"}`` and ``{"type": "kill"}``. Status
lines (out): ``started {pid, layers}``; ``memory {bytes}``, the tree's, while it is more than the
program alone; ``refused {message, missing}`` or ``exited {code, signal, cause, peak_memory_bytes,
cpu_seconds}``. After the last one no process of the tree exists.
"""

import json
import os
import resource
import select
import signal
import sys
import time

from usina.kernel.runners.launcher.process import members, oom_kills, signal_all
from usina.kernel.runners.launcher.program import Program, Refused
from usina.kernel.runners.launcher.system import prctl
from usina.kernel.runners.launcher.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_URGENCY = -10
_KILLED_AT_ONCE = 1000
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Keeper:
    """Keeps one program from its start until nothing of its tree is left."""

    def __init__(self, control: int, status: int) -> None:
        self._control = control
        self._status = status
        self._rest = b""
        self._early: list[dict[str, Any]] = []
        self._cause: str | None = None
        self._ended: int | None = None
        self._largest = 0
        self._told_memory = 0
        self._wake = _wake_on_child()
        self._kills_before = oom_kills()

    def tell(self, kind: str, **fields: object) -> None:
        """A platform that is gone, or that does not read, is none to wait for."""
        try:
            os.write(self._status, json.dumps({"type": kind, **fields}).encode() + b"\n")
        except OSError:
            pass

    def orders(self) -> "list[dict[str, Any]] | None":
        """What the platform wants; null when it is gone."""
        data = os.read(self._control, 65536)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def first_order(self) -> "dict[str, Any] | None":
        while True:
            orders = self.orders()
            if orders is None:
                return None
            if orders:
                self._early = orders[1:]
                return orders[0]

    def keep(self, program: Program, watch: Watch) -> None:
        """Returns when the program has ended and nothing of its tree is left."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        self._obey(program, self._early)
        while self._ended is None:
            ready = dict(poll.poll(watch.seconds * 1000))
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap(program.pid, program.init)
            if self._control in ready:
                orders = self.orders()
                if orders is None:
                    break
                self._obey(program, orders)
            if self._ended is None and self._cause is None:
                self._cause = (program.group and program.group.cause()) or watch.look()
                self._tell_memory(watch)
                if self._cause is not None:
                    self._kill(program)
        self._kill(program)
        if program.group is not None:
            self._cause = self._cause or program.group.cause()
            program.group.remove()
        self._tell_end(max(watch.peak, self._largest))

    def _obey(self, program: Program, orders: "list[dict[str, Any]]") -> None:
        for order in orders:
            if order["type"] == "kill":
                self._kill(program)
            else:
                signal_all(members(program.init), signal.SIGTERM)

    def _kill(self, program: Program) -> None:
        """Kills the program and all it started; returns when nobody is left."""
        if program.init is not None:
            signal_all([program.init], signal.SIGKILL)
            self._reap(program.pid, program.init, wait=True)
            return
        self._kill_one_by_one(program.pid)

    def _kill_one_by_one(self, pid: int) -> None:
        """Kills the program's process group in one stroke, which no fork outruns; then stops and
        kills whoever left the group, until nobody is left."""
        pause = 0.0
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        while pids := members(most=_KILLED_AT_ONCE):
            signal_all(pids, signal.SIGSTOP)
            signal_all(pids, signal.SIGKILL)
            self._reap(pid)
            time.sleep(pause)
            pause = min(pause + 0.0005, 0.05)
        self._reap(pid)

    def _reap(self, main: int, init: "int | None" = None, *, wait: bool = False) -> None:
        """Takes note of whoever has ended; with ``wait``, until there is nobody."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, 0 if wait else os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid != init:
                self._largest = max(self._largest, usage.ru_maxrss * 1024)
            if pid == main:
                self._ended = status

    def _tell_memory(self, watch: Watch) -> None:
        now = watch.used if watch.count > 1 else 0
        if abs(now - self._told_memory) > max(now, self._told_memory) / 16:
            self._told_memory = now
            self.tell("memory", bytes=now)

    def _tell_end(self, peak: int) -> None:
        status = signal.SIGKILL if self._ended is None else self._ended
        code = os.waitstatus_to_exitcode(status)
        if self._cause is None and code == -signal.SIGKILL and oom_kills() > self._kills_before:
            self._cause = "out_of_memory"
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.tell(
            "exited",
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cause=self._cause,
            peak_memory_bytes=peak,
            cpu_seconds=round(used.ru_utime + used.ru_stime, 3),
        )


def _wake_on_child() -> int:
    """A descriptor that becomes readable when a child ends."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, _noticed)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _noticed(number: int, frame: object) -> None:
    """Python tells the descriptor only of signals that have a handler."""


def _become_reaper() -> None:
    """Orphans of the tree come to us; and we are heard while the tree burns the machine."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + _URGENCY)
    except OSError:
        pass


def main() -> None:
    """Keeps the program of the first order; ends when all of it is gone."""
    control, status, *descriptors = (int(word) for word in sys.argv[1:])
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    _become_reaper()
    keeper = Keeper(control, status)
    order = keeper.first_order()
    if order is None:
        return
    order["limits"]["nice"] = nice
    try:
        program = Program(order, descriptors)
    except Refused as refused:
        keeper.tell("refused", message=str(refused), missing=refused.missing)
        return
    for descriptor in descriptors:
        os.close(descriptor)
    keeper.tell("started", pid=program.pid, layers=program.layers)
    keeper.keep(program, Watch(order["limits"], order["cwd"], program.init))
