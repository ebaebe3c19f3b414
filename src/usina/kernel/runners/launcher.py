"""The keeper of one program, run as its own process: ``python -I -S launcher.py FDS...``.

It starts the program, is the sub-reaper of everything that the program starts, watches the tree's
memory and size, and kills the whole tree when the program ends, when it is told to, and when the
platform is gone: the end of the control pipe means *kill all*. Nothing of the tree outlives it.

Only the standard library: it starts in ten milliseconds and has nothing to load that could break.

Control lines (in): the order to start, then ``{"type": "term"}`` and ``{"type": "kill"}``.
Status lines (out): ``started {pid}``, ``refused {message}``, ``exited {code, signal, cause,
peak_memory_bytes}``; after the last one no process of the tree exists.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
_WATCH_SECONDS = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")
_OOM_SCORE = "500"
_TROUBLE = 100  # where the child tells why it could not become the program


class _Tree:
    """Every process below this one: orphans come to us, so our children's children are all."""

    def __init__(self) -> None:
        self.me = os.getpid()

    def members(self) -> list[int]:
        found: list[int] = []
        front = [self.me]
        while front:
            children = [child for pid in front for child in _children(pid)]
            found.extend(children)
            front = children
        return found

    def memory_bytes(self, members: list[int]) -> int:
        """Resident memory; shared pages count once per process."""
        return sum(_resident(pid) for pid in members) * _PAGE

    def signal(self, number: int) -> None:
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """Stops all, then kills all, until nobody is left: no fork can escape."""
        while self.members():
            self.signal(signal.SIGSTOP)
            self.signal(signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.001)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found.extend(int(child) for child in file.read().split())
    return found


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1])
    except (OSError, IndexError):
        return 0


def _proportional_bytes(members: list[int]) -> int:
    """The tree's true share of memory; read only when the cheap sum is over the limit."""
    total = 0
    for pid in members:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
            total += next((int(line.split()[1]) for line in file if line.startswith("Pss:")), 0)
    return total * 1024


def _start(order: dict, descriptors: list[int]) -> int:
    """Forks the program with descriptors 0 to 4 in place; what can fail is told over a pipe."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        trouble = os.dup2(writer, _TROUBLE, inheritable=False)
        try:
            _become(order, descriptors)
        except BaseException as error:
            os.write(trouble, str(error).encode()[:500])
        finally:
            os._exit(127)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        trouble = file.read()
    if trouble:
        os.waitpid(pid, 0)
        raise OSError(trouble.decode(errors="replace"))
    return pid


def _become(order: dict, descriptors: list[int]) -> None:
    """In the child: its own session, its limits, its descriptors, then the program.

    Sandbox layers that need no privilege (landlock, seccomp) belong right before the exec.
    """
    os.setsid()
    out, inward, log = descriptors
    null = os.open("/dev/null", os.O_RDONLY)
    high = [os.dup2(fd, _TROUBLE + 1 + n) for n, fd in enumerate((null, log, log, out, inward))]
    for target, source in enumerate(high):
        os.dup2(source, target, inheritable=True)
    os.closerange(len(high), _TROUBLE)
    os.closerange(_TROUBLE + 1, 4096)
    limits = order["limits"]
    for name in ("CORE", "NOFILE", "FSIZE"):
        _limit(getattr(resource, f"RLIMIT_{name}"), limits[name.lower()])
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(_OOM_SCORE)
    os.umask(0o077)
    os.chdir(order["cwd"])
    for name in ("PIPE", "INT", "TERM", "HUP", "CHLD", "XFSZ"):
        signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_DFL)
    os.execvpe(order["argv"][0], order["argv"], order["env"])


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


class _Keeper:
    def __init__(self, control: int, status: int, descriptors: list[int]) -> None:
        self.control = control
        self.status = status
        self.descriptors = descriptors
        self.tree = _Tree()
        self.pending = b""
        self.cause = ""
        self.peak = 0

    def tell(self, kind: str, **fields: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self.status, json.dumps({"type": kind, **fields}).encode() + b"\n")

    def read(self) -> "list[dict] | None":
        """Whole lines from the platform; None when it is gone."""
        data = os.read(self.control, 65536)
        if not data:
            return None
        *lines, self.pending = (self.pending + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def first_order(self) -> "dict | None":
        while True:
            orders = self.read()
            if orders is None or orders:
                return orders and orders[0]

    def keep(self, pid: int, limits: dict) -> None:
        """Until the program is gone and the tree with it."""
        wake, _ = _wake_on_child()
        poller = select.poll()
        poller.register(self.control, select.POLLIN | select.POLLHUP)
        poller.register(wake, select.POLLIN)
        while True:
            ready = dict(poller.poll(_WATCH_SECONDS * 1000))
            if wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)
            ended = _reap(pid)
            if ended is not None:
                self.tree.kill()
                self.report(*ended)
                return
            if self.control in ready and not self.obey():
                self.tree.kill()
                sys.exit(1)
            self.watch(limits)

    def obey(self) -> bool:
        """False when the platform is gone."""
        orders = self.read()
        if orders is None:
            return False
        for order in orders:
            if order["type"] == "term":
                self.tree.signal(signal.SIGTERM)
            elif order["type"] == "kill":
                self.tree.signal(signal.SIGKILL)
        return True

    def watch(self, limits: dict) -> None:
        members = self.tree.members()
        used = self.tree.memory_bytes(members)
        self.peak = max(self.peak, used)
        if used > limits["memory"] and _proportional_bytes(members) > limits["memory"]:
            self.cause = "out_of_memory"
        elif len(members) > limits["processes"]:
            self.cause = "too_many_processes"
        if self.cause:
            self.tree.signal(signal.SIGSTOP)
            self.tree.signal(signal.SIGKILL)

    def report(self, status: int, usage: resource.struct_rusage) -> None:
        code = os.waitstatus_to_exitcode(status)
        self.tell(
            "exited",
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cause=self.cause or None,
            peak_memory_bytes=max(self.peak, usage.ru_maxrss * 1024),
        )


def _reap(main: int) -> "tuple[int, resource.struct_rusage] | None":
    """Takes away the dead; the program's own ending if it was among them."""
    ended = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == main:
                ended = status, usage
    return ended


def _wake_on_child() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader, writer


def main() -> None:
    control, status, *descriptors = (int(word) for word in sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    keeper = _Keeper(control, status, descriptors)
    order = keeper.first_order()
    if order is None:
        return
    try:
        pid = _start(order, descriptors)
    except OSError as error:
        keeper.tell("refused", message=str(error))
        return
    for descriptor in descriptors:
        os.close(descriptor)
    keeper.tell("started", pid=pid)
    keeper.keep(pid, order["limits"])


if __name__ == "__main__":
    main()
