"""The keeper of one program, a process of its own: ``python -I -S launcher.py CONTROL STATUS OUT
IN LOG``, the numbers of inherited descriptors.

It starts the program, is the sub-reaper of everything that the program starts, watches the tree's
memory and number, and kills the whole tree when the program ends, when it is told to, and when the
platform is gone: the end of the control pipe means *kill all*. Nothing of the tree outlives it.

Only the light parts of the standard library (no typing, no pathlib): it starts in some fifteen
milliseconds, half of them Python's own, and loads nothing that could break.

Control lines (in): the order to start, then ``{"type": "term"}`` and ``{"type": "kill"}``. Status
lines (out): ``started {pid}``; ``memory {bytes}``, the tree's, while it is more than the program
alone; ``refused {message}`` or ``exited {code, signal, cause, peak_memory_bytes, cpu_seconds}``.
After the last one no process of the tree exists.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_WATCH_SECONDS = 0.05
_NEAR_SECONDS = 0.02
_QUIET_SECONDS = 0.2
_QUIET_AFTER = 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_OOM_SCORE = b"500"
_URGENCY = -10
_KILLED_AT_ONCE = 1000
_ABOVE = 64
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SET_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


def members(most: int = sys.maxsize) -> list[int]:
    """Every process below this one, but not many more than ``most``. Orphans come to us, so none is
    missed."""
    found: list[int] = []
    front = [os.getpid()]
    while front and len(found) <= most:
        front = [child for pid in front for child in _children(pid)]
        found.extend(front)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/task") as tasks:
        for task in tasks:
            found.extend(map(int, _read(f"{task.path}/children").split()))
    return found


def _read(path: str) -> bytes:
    """A file of /proc; empty when its process is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def resident_bytes(pids: list[int]) -> int:
    """Cheap, but pages that processes share count once for each."""
    return _PAGE * sum(int((_read(f"/proc/{pid}/statm").split() or [b"", 0])[1]) for pid in pids)


def proportional_bytes(pids: list[int]) -> int:
    """The true share of memory; costs milliseconds for a large process."""
    return 1024 * sum(_number(f"/proc/{pid}/smaps_rollup", b"Pss:") for pid in pids)


def oom_kills() -> int:
    """How often this machine's kernel has killed for want of memory."""
    return _number("/proc/vmstat", b"oom_kill ")


def _number(path: str, name: bytes) -> int:
    """The number in the line that begins with the name."""
    for line in _read(path).split(b"\n"):
        if line.startswith(name):
            return int(line.split()[1])
    return 0


def start(order: "dict[str, Any]", descriptors: list[int]) -> int:
    """Forks the program with descriptors 0 to 4 in place; raises ``OSError`` with the cause."""
    trouble, low = os.pipe()
    told = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(low)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(trouble)
            _become(order, descriptors, told)
        except BaseException as error:
            os.write(told, str(error).encode()[:500])
        finally:
            os._exit(127)
    os.close(told)
    with os.fdopen(trouble, "rb") as file:
        said = file.read()
    if said:
        os.waitpid(pid, 0)
        raise OSError(said.decode(errors="replace"))
    return pid


def _become(order: "dict[str, Any]", descriptors: list[int], told: int) -> None:
    """In the child: turns into the program."""
    os.setsid()
    out, inward, log = descriptors
    null = os.open("/dev/null", os.O_RDONLY)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, _ABOVE) for fd in (null, log, log, out, inward)]
    for target, source in enumerate(high):
        os.dup2(source, target)
    os.closerange(5, told)
    os.closerange(told + 1, 1 << 20)
    for number in _IGNORED + _SET_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o077)
    os.chdir(order["cwd"])
    _confine(order["limits"])
    os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606  # no shell is meant


def _confine(limits: dict[str, int]) -> None:
    """The layers around the program, the last thing before it begins.

    Those that need more than this process (namespaces, a cgroup) are prepared before the fork;
    landlock, then seccomp, end this function.
    """
    for kind, name in (
        (resource.RLIMIT_CORE, "core"),
        (resource.RLIMIT_NOFILE, "nofile"),
        (resource.RLIMIT_FSIZE, "fsize"),
    ):
        hard = resource.getrlimit(kind)[1]
        most = limits[name] if hard == resource.RLIM_INFINITY else min(limits[name], hard)
        resource.setrlimit(kind, (most, most))
    with contextlib.suppress(OSError):
        os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC), _OOM_SCORE)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, limits["nice"])


class Watch:
    """The tree's memory and number, against their limits.

    Processes share pages, so of several the true share is measured, again whenever their number or
    sum has changed; between, the cheap sum is scaled. Quiet programs are looked at less often.
    """

    def __init__(self, limits: dict[str, int]) -> None:
        self.used = 0
        self.peak = 0
        self.count = 0
        self.seconds = _WATCH_SECONDS
        self._limits = limits
        self._measured_sum = 0
        self._share = 1.0
        self._unchanged = 0

    def look(self) -> "str | None":
        """Why the tree must die, if it must."""
        began = time.monotonic()
        before, limit = self.used, self._limits["memory"]
        pids = members(self._limits["processes"])
        if len(pids) > self._limits["processes"]:
            return "too_many_processes"
        self.used = self._measure(pids)
        self.count = len(pids)
        if self.used > limit:
            self.used = min(self.used, proportional_bytes(pids))
        self.peak = max(self.peak, self.used)
        self._unchanged = self._unchanged + 1 if self.used == before else 0
        self.seconds = max(self._pause(limit), 10 * (time.monotonic() - began))
        return "out_of_memory" if self.used > limit else None

    def _measure(self, pids: list[int]) -> int:
        total = resident_bytes(pids)
        if len(pids) < 2:
            self._share = 1.0
        elif len(pids) != self.count or not 0.9 < total / (self._measured_sum or 1) < 1.1:
            self._measured_sum = total
            self._share = min(1.0, proportional_bytes(pids) / (total or 1))
        return int(total * self._share)

    def _pause(self, limit: int) -> float:
        if self._unchanged >= _QUIET_AFTER:
            return _QUIET_SECONDS
        return _NEAR_SECONDS if self.used > limit / 2 else _WATCH_SECONDS


class Keeper:
    """Keeps one program from its start until nothing of its tree is left."""

    def __init__(self, control: int, status: int) -> None:
        self._control = control
        self._status = status
        self._rest = b""
        self._cause: str | None = None
        self._ended: int | None = None
        self._largest = 0
        self._told_memory = 0
        self._wake = _wake_on_child()
        self._kills_before = oom_kills()

    def tell(self, kind: str, **fields: object) -> None:
        """A platform that is gone, or that does not read, is none to wait for."""
        with contextlib.suppress(OSError):
            os.write(self._status, json.dumps({"type": kind, **fields}).encode() + b"\n")

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
                return orders[0]

    def keep(self, pid: int, limits: dict[str, int]) -> None:
        """Returns when the program has ended and nothing of its tree is left."""
        watch = Watch(limits)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while self._ended is None:
            ready = dict(poll.poll(watch.seconds * 1000))
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap(pid)
            if self._control in ready and not self._obey():
                break
            if self._ended is None and self._cause is None:
                self._cause = watch.look()
                self._tell_memory(watch)
                if self._cause is not None:
                    self._kill(pid)
        self._kill(pid)
        self._tell_end(max(watch.peak, self._largest))

    def _obey(self) -> bool:
        """False when the platform is gone."""
        orders = self.orders()
        for order in orders or ():
            signal_all(members(), signal.SIGKILL if order["type"] == "kill" else signal.SIGTERM)
        return orders is not None

    def _kill(self, pid: int) -> None:
        """Kills the program's process group in one stroke, which no fork outruns; then stops and
        kills whoever left the group, until nobody is left."""
        pause = 0.0
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        while pids := members(_KILLED_AT_ONCE):
            signal_all(pids, signal.SIGSTOP)
            signal_all(pids, signal.SIGKILL)
            self._reap(pid)
            time.sleep(pause)
            pause = min(pause + 0.0005, 0.05)
        self._reap(pid)

    def _reap(self, main: int) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return
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
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + _URGENCY)


def main() -> None:
    """Keeps the program of the first order; ends when all of it is gone."""
    control, status, *descriptors = (int(word) for word in sys.argv[1:])
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    _become_reaper()
    keeper = Keeper(control, status)
    order = keeper.first_order()
    if order is None:
        return
    limits = {**order["limits"], "nice": nice}
    try:
        pid = start({**order, "limits": limits}, descriptors)
    except OSError as error:
        keeper.tell("refused", message=str(error))
        return
    for descriptor in descriptors:
        os.close(descriptor)
    keeper.tell("started", pid=pid)
    keeper.keep(pid, limits)


if __name__ == "__main__":
    main()
