"""The system calls that a program may not make, as a seccomp filter.

A list of what is denied: programs of any language come here, and a list of what they may do would
be wrong for most of them. What is on it is of no use to a program that computes, and of much use to
one that wants out. A denied call fails with ``EPERM``, as it would for want of a privilege.

https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import errno
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

Network = Literal["none", "loopback", "outbound"]

DENIED: Final[dict[str, tuple[int, int | None]]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "nfsservctl": (180, 42),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "memfd_secret": (447, 447),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "_sysctl": (156, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "create_module": (174, None),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
}
"""By name: its number on x86-64 and, where there is one, on the machines that came later."""

JUDGED: Final[dict[str, tuple[int, int]]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "unshare": (272, 97),
    "socket": (41, 198),
    "ioctl": (16, 29),
    "prlimit64": (302, 261),
}
"""Those whose arguments are looked at."""

_NEW_NAMESPACES: Final = 0x7E02_0080
"""Every ``CLONE_NEW*``: time, mount, cgroup, UTS, IPC, user, pid, network."""
_TERMINAL_INPUT: Final = (0x5412, 0x541C)
"""``TIOCSTI`` and ``TIOCLINUX`` put words into somebody's terminal."""
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW: Final = 0x7FFF_0000
_FAIL: Final = 0x0005_0000
_NUMBER, _MACHINE = 0, 4
_X32: Final = 0x4000_0000


@dataclass(frozen=True, slots=True)
class _Machine:
    """``token`` is the kernel's name for its way of calls; ``column`` its place in the lists."""

    token: int
    column: int


_MACHINES: Final = {
    "x86_64": _Machine(0xC000_003E, 0),
    "aarch64": _Machine(0xC000_00B7, 1),
}


class UnknownMachine(Exception):
    """There is no list of system calls for this machine."""


@cache
def filter_for(network: Network, machine: str | None = None) -> bytes:
    """The filter as the kernel takes it; raises `UnknownMachine`."""
    name = machine or os.uname().machine
    if name not in _MACHINES:
        raise UnknownMachine(f"no list of system calls for {name}")
    return b"".join(_program(_MACHINES[name], network))


def _program(machine: _Machine, network: Network) -> Iterator[bytes]:
    yield _load(_MACHINE)
    yield from _unless(_EQUAL, machine.token, _fail(errno.ENOSYS))
    yield _load(_NUMBER)
    if machine.column == 0:
        yield from _when(_AT_LEAST, _X32, _fail(errno.ENOSYS))
    for numbers in DENIED.values():
        number = numbers[machine.column]
        if number is not None:
            yield from _when(_EQUAL, number, _fail(errno.EPERM))
    for name, judge in _judges(network).items():
        yield _jump(_EQUAL, JUDGED[name][machine.column], 0, len(judge))
        yield from judge
    yield _return(_ALLOW)


def _judges(network: Network) -> dict[str, Sequence[bytes]]:
    """What follows once the call is known; each ends with an answer."""
    families = (_UNIX,) if network == "none" else (_UNIX, _INET, _INET6, _NETLINK)
    no_namespaces = [_argument(0), *_when(_ANY_BIT, _NEW_NAMESPACES, _fail(errno.EPERM))]
    return {
        "clone": [*no_namespaces, _return(_ALLOW)],
        "unshare": [*no_namespaces, _return(_ALLOW)],
        # Its flags lie in memory, where a filter can not look; libraries fall back to clone.
        "clone3": [_fail(errno.ENOSYS)],
        "socket": [
            _argument(0),
            *(step for family in families for step in _when(_EQUAL, family, _return(_ALLOW))),
            _fail(errno.EAFNOSUPPORT),
        ],
        "ioctl": [
            _argument(1),
            *(s for word in _TERMINAL_INPUT for s in _when(_EQUAL, word, _fail(errno.EPERM))),
            _return(_ALLOW),
        ],
        # Another process's limits, those of the platform say; 0 is the caller itself.
        "prlimit64": [
            _argument(0),
            *_unless(_EQUAL, 0, _fail(errno.EPERM)),
            _return(_ALLOW),
        ],
    }


def _when(test: int, value: int, answer: bytes) -> Iterator[bytes]:
    yield _jump(test, value, 0, 1)
    yield answer


def _unless(test: int, value: int, answer: bytes) -> Iterator[bytes]:
    yield _jump(test, value, 1, 0)
    yield answer


def _argument(place: int) -> bytes:
    """The low half of an argument: all that the kernel itself looks at in those that we judge."""
    return _load(16 + 8 * place)


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", _LOAD, 0, 0, offset)


def _jump(test: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("HBBI", test, if_true, if_false, value)


def _return(answer: int) -> bytes:
    return struct.pack("HBBI", _RETURN, 0, 0, answer)


def _fail(number: int) -> bytes:
    return _return(_FAIL | number)
