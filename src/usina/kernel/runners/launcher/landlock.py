"""Landlock: which files a program may open, whoever it runs as.

https://docs.kernel.org/userspace-api/landlock.html
"""

import os
import stat
import struct
from collections.abc import Iterable

from usina.kernel.runners.launcher.system import call

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_FIRST, _REFER = (1 << 13) - 1, 1 << 13
_TCP = 0b11
_SCOPES = 0b11

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_USE = _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
_OF_A_FILE = _EXECUTE | _USE


def confine(readable: list[str], devices: list[str], writable: list[str], network: str) -> None:
    """From here on this process and all it starts open only what lies below these paths.

    Nor do they see into processes that are not among them, by /proc or otherwise. Paths that are
    not there are left out. Raises ``OSError`` where the kernel has no landlock.
    """
    version = call(_CREATE, None, 0, _VERSION)
    handled = _handled(version)
    fields = [handled, _TCP if version >= 4 and network == "none" else 0]
    fields.append(_SCOPES if version >= 6 else 0)
    attributes = struct.pack("QQQ", *fields)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = call(_CREATE, attributes, len(attributes), 0)
    everything = handled & ~(_MAKE_CHAR | _MAKE_BLOCK)
    _allow(ruleset, readable, handled & _READ)
    _allow(ruleset, devices, handled & (_READ | _USE))
    _allow(ruleset, writable, everything)
    call(_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _handled(version: int) -> int:
    """Every right to files that this kernel knows to withhold."""
    handled = _FIRST
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if version >= since:
            handled |= right
    return handled


def _allow(ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rule = struct.pack("=Qi", rights if folder else rights & _OF_A_FILE, descriptor)
        call(_ADD, ruleset, _PATH_BENEATH, rule, 0)
        os.close(descriptor)
