"""System calls that Python has no name for. Each raises ``OSError``."""

import ctypes
import os

CLONE_NEWNS = 0x0002_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = (source.encode(), os.fsencode(target), kind.encode())
    _checked(_libc.mount(*words, ctypes.c_ulong(flags), options.encode()))


def prctl(option: int, *arguments: int) -> int:
    rest = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_libc.prctl(option, *(ctypes.c_ulong(value) for value in rest)))


def set_capabilities(header: bytes, sets: bytes) -> None:
    _checked(_libc.capset(header, sets))


def call(number: int, *arguments: "int | bytes | None") -> int:
    """A system call by its number; bytes are handed over by their address."""
    words = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *words))


def install_filter(program: bytes) -> None:
    """Puts a seccomp filter of eight-byte instructions upon this thread and all it starts."""
    held = ctypes.create_string_buffer(program, len(program))
    prog = ctypes.create_string_buffer(16)
    ctypes.c_ushort.from_buffer(prog).value = len(program) // 8
    ctypes.c_void_p.from_buffer(prog, 8).value = ctypes.addressof(held)
    prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(prog))


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
