"""From a fork of the launcher to the program: its descriptors, its limits, its layers."""

import fcntl
import json
import os
import resource
import signal

from usina.kernel.runners.launcher import filesystem, landlock, namespace, privilege
from usina.kernel.runners.launcher.cgroup import Group
from usina.kernel.runners.launcher.system import install_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ABOVE = 64
_OOM_SCORE = b"500"
_REFUSED = 127
_SIGNALS = ("TERM", "INT", "HUP", "CHLD", "PIPE", "XFSZ")


class Refused(Exception):
    """The program was not started; ``missing`` says which layers it must not be without, and why
    they are not there."""

    def __init__(self, message: str, missing: "dict[str, str] | None" = None) -> None:
        super().__init__(message)
        self.missing = missing or {}


class Program:
    """Starts one; raises `Refused`. ``layers`` are those of its sandbox: empty when on, else why
    not; null without a sandbox. ``init`` is the first process of its pid namespace."""

    def __init__(self, order: "dict[str, Any]", descriptors: list[int]) -> None:
        self._order = order
        self._sandbox: dict[str, Any] | None = order["sandbox"]
        self._layers: dict[str, str] = {}
        self.group = self._grouped()
        self.init: int | None = None
        if self._sandbox is not None:
            self._layers.update(namespace.enter(self._sandbox["network"]))
            if not self._layers["pid_namespace"]:
                self.init, self._holder = namespace.start_init()
        try:
            self.pid, self.layers = self._start(descriptors)
        except Refused:
            self._undo()
            raise

    def _grouped(self) -> "Group | None":
        if self._sandbox is None:
            return None
        parent, why = self._sandbox["cgroup"]
        limits = self._order["limits"]
        group = None
        if parent is not None:
            try:
                group = Group(parent, limits["memory"], limits["processes"])
            except OSError as error:
                why = str(error.strerror)
        self._layers["cgroup"] = why
        return group

    def _start(self, descriptors: list[int]) -> "tuple[int, dict[str, str] | None]":
        trouble, low = os.pipe()
        told = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
        os.close(low)
        pid = os.fork()
        if pid == 0:
            try:
                os.close(trouble)
                self._become(descriptors, told)
            except Refused as refused:
                _say(told, message=str(refused), missing=refused.missing)
            except BaseException as error:
                _say(told, message=str(error)[:500], missing={})
            finally:
                os._exit(_REFUSED)
        os.close(told)
        layers: dict[str, str] | None = None
        with os.fdopen(trouble, "rb") as file:
            for said in map(json.loads, file):
                if "missing" in said:
                    os.waitpid(pid, 0)
                    raise Refused(said["message"], said["missing"])
                layers = said["layers"]
        return pid, layers

    def _become(self, descriptors: list[int], told: int) -> None:
        """In the child: turns into the program."""
        order = self._order
        os.setsid()
        _place(descriptors, told)
        for name in _SIGNALS:
            signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_DFL)
        os.umask(0o077)
        if self.group is not None:
            self._layers["cgroup"] = _why_not(self.group.join)
        _limit(order["limits"])
        if self._sandbox is not None:
            self._enclose(self._sandbox)
            _say(told, layers=self._layers)
        else:
            os.chdir(order["cwd"])
        os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606  # no shell is meant

    def _enclose(self, sandbox: "dict[str, Any]") -> None:
        """The layers around the program, from the widest to the narrowest."""
        layers, cwd = self._layers, self._order["cwd"]
        layers["mount_namespace"] = layers["pid_namespace"] and "it needs a pid namespace"
        if not layers["pid_namespace"]:
            layers["mount_namespace"] = _why_not(
                lambda: filesystem.separate(
                    sandbox["writable"],
                    sandbox["covered"],
                    sandbox["readable"] + sandbox["kept"],
                    self._order["limits"]["memory"],
                )
            )
        os.chdir(cwd)
        layers["privileges"] = _why_not(privilege.renounce)
        layers["landlock"] = _why_not(
            lambda: landlock.confine(
                [*sandbox["readable"], "/proc"],
                sandbox["devices"],
                [cwd, "/dev/shm"],
                sandbox["network"],
            )
        )
        layers["seccomp"] = _why_not(lambda: install_filter(bytes.fromhex(sandbox["filter"])))
        missing = {name: layers[name] for name in sandbox["required"] if layers[name]}
        if missing:
            raise Refused("", missing)

    def _undo(self) -> None:
        if self.init is not None:
            os.kill(self.init, signal.SIGKILL)
            os.waitpid(self.init, 0)
        if self.group is not None:
            self.group.remove()


def _say(descriptor: int, **fields: object) -> None:
    os.write(descriptor, json.dumps(fields).encode() + b"\n")


def _why_not(put_on: "Callable[[], None]") -> str:
    try:
        put_on()
    except OSError as error:
        return str(error.strerror)
    return ""


def _place(descriptors: list[int], told: int) -> None:
    """Standard input is empty, output is the log, 3 and 4 are the protocol; nothing else but
    ``told`` stays."""
    out, inward, log = descriptors
    null = os.open("/dev/null", os.O_RDONLY)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, _ABOVE) for fd in (null, log, log, out, inward)]
    for target, source in enumerate(high):
        os.dup2(source, target)
    os.closerange(5, told)
    os.closerange(told + 1, 1 << 20)


def _limit(limits: dict[str, int]) -> None:
    for kind, name in (
        (resource.RLIMIT_CORE, "core"),
        (resource.RLIMIT_NOFILE, "nofile"),
        (resource.RLIMIT_FSIZE, "fsize"),
    ):
        hard = resource.getrlimit(kind)[1]
        most = limits[name] if hard == resource.RLIM_INFINITY else min(limits[name], hard)
        resource.setrlimit(kind, (most, most))
    try:
        os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC), _OOM_SCORE)
        os.setpriority(os.PRIO_PROCESS, 0, limits["nice"])
    except OSError:
        pass
