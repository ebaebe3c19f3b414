"""Namespaces of the program: processes, System V memory, network, and the user where it is needed.

They are made before the fork. The first process in the new pid namespace is an init that only
waits: when it dies, the kernel kills all others in one stroke, which no fork outruns. It dies when
it is killed, and when the launcher is gone, whose end of a pipe it holds.
"""

import fcntl
import os
import signal
import struct

from usina.kernel.runners.launcher.process import word_in
from usina.kernel.runners.launcher.system import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    unshare,
)

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_CAP_SYS_ADMIN = 21


def enter(network: str) -> dict[str, str]:
    """Puts the processes that this one will start into namespaces of their own.

    Answers by layer: empty when it is on, else why not. ``network`` is ``none``, ``loopback`` or
    ``outbound``, which keeps the network of the machine.
    """
    refused = _become_able()
    told = {
        "pid_namespace": refused or _tried(CLONE_NEWPID),
        "ipc_namespace": refused or _tried(CLONE_NEWIPC),
    }
    if network == "outbound":
        told["network_namespace"] = "its model may use the network"
    else:
        told["network_namespace"] = refused or _tried(CLONE_NEWNET)
        if network == "loopback" and not told["network_namespace"]:
            _raise_loopback()
    return told


def start_init() -> tuple[int, int]:
    """The first process of the new pid namespace: its pid out here, and the end of the pipe that
    holds it alive."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps orphans by itself
            os.closerange(0, reader)
            os.closerange(reader + 1, 1 << 16)
            os.read(reader, 1)
        finally:
            os._exit(0)
    os.close(reader)
    return pid, writer


def _become_able() -> str:
    """A namespace of users, where only that allows the others; empty, or why there is none."""
    held = word_in("/proc/self/status", b"CapEff:")
    return "" if int(held, 16) >> _CAP_SYS_ADMIN & 1 else _own_users()


def _own_users() -> str:
    """The same user inside as outside, and nobody else."""
    user, group = os.geteuid(), os.getegid()
    try:
        unshare(CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except OSError as error:
        return f"no user namespace: {error.strerror}"
    return ""


def _tried(flag: int) -> str:
    try:
        unshare(flag)
    except OSError as error:
        return str(error.strerror)
    return ""


def _raise_loopback() -> None:
    import _socket  # the light half of ``socket``

    number = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM).detach()
    try:
        fcntl.ioctl(number, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    finally:
        os.close(number)
