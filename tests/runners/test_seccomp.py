"""The filter of system calls: what it answers on every machine that it knows, and in the kernel."""

import errno
import os
import struct
from collections.abc import Callable

import pytest

from tests.runners.stage import Stage
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.seccomp import DENIED, JUDGED, Network, UnknownMachine, filter_for

Make = Callable[..., Manifest]
ALLOW = 0x7FFF_0000
TOKENS = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
COLUMNS = {"x86_64": 0, "aarch64": 1}
ORDINARY = {"x86_64": (0, 1, 59, 231, 257), "aarch64": (63, 64, 221, 94, 56)}
"""read, write, execve, exit_group, openat"""
I386 = 0x4000_0003
NETWORKS: tuple[Network, ...] = ("none", "loopback", "outbound")
EVERY = [(machine, network) for machine in TOKENS for network in NETWORKS]


def answer(program: bytes, token: int, number: int, *arguments: int) -> int:
    """What the kernel would answer: an errno, or 0 where the call is allowed."""
    words = [argument & (1 << 64) - 1 for argument in (*arguments, *[0] * 6)][:6]
    data = struct.pack("<iIQ6Q", number, token, 0, *words)
    steps = [*struct.iter_unpack("HBBI", program)]
    held = place = 0
    while True:
        code, if_true, if_false, value = steps[place]
        place += 1
        match code:
            case 0x20:
                (held,) = struct.unpack_from("<I", data, value)
            case 0x06:
                assert value == ALLOW or value & 0xFFFF_0000 == 0x5_0000
                return 0 if value == ALLOW else value & 0xFFFF
            case 0x15 | 0x35 | 0x45:
                holds = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
                place += if_true if holds else if_false
            case _:
                raise AssertionError(f"{code:#x} is no instruction that we use")


@pytest.mark.parametrize(("machine", "network"), EVERY)
def test_what_is_denied_is_denied_and_no_more(machine: str, network: Network) -> None:
    program, column, token = filter_for(network, machine), COLUMNS[machine], TOKENS[machine]
    denied = {numbers[column] for numbers in DENIED.values()} - {None}
    judged = {numbers[column] for numbers in JUDGED.values()}
    for number in range(600):
        if number in denied:
            assert answer(program, token, number) == errno.EPERM
        elif number not in judged:
            assert answer(program, token, number) == 0
    assert not denied & set(ORDINARY[machine])


@pytest.mark.parametrize(("machine", "network"), EVERY)
def test_arguments_are_judged(machine: str, network: Network) -> None:
    program, token = filter_for(network, machine), TOKENS[machine]

    def asked(name: str, *arguments: int) -> int:
        return answer(program, token, JUDGED[name][COLUMNS[machine]], *arguments)

    sigchld, thread = 17, 0x3D_0F00
    assert asked("clone", sigchld) == asked("clone", thread) == asked("unshare", 0x400) == 0
    for flag in (0x20000, *(1 << bit for bit in range(25, 31))):
        assert asked("clone", sigchld | flag) == asked("unshare", flag) == errno.EPERM
    assert asked("unshare", 0x80) == errno.EPERM
    assert asked("clone3", 0) == errno.ENOSYS
    inet = 0 if network != "none" else errno.EAFNOSUPPORT
    assert [asked("socket", family) for family in (1, 2, 10, 16)] == [0, inet, inet, inet]
    assert {asked("socket", family) for family in (17, 38, 40, 31)} == {errno.EAFNOSUPPORT}
    assert asked("ioctl", 0, 0x5401) == 0
    assert asked("ioctl", 0, 0x5412) == asked("ioctl", 0, 1 << 32 | 0x5412) == errno.EPERM
    assert (asked("prlimit64", 0), asked("prlimit64", 1)) == (0, errno.EPERM)


@pytest.mark.parametrize(("machine", "network"), EVERY)
def test_other_ways_into_the_kernel_are_closed(machine: str, network: Network) -> None:
    program = filter_for(network, machine)
    assert answer(program, I386, 11) == errno.ENOSYS
    if machine == "x86_64":
        assert answer(program, TOKENS[machine], 0x4000_0000 | 59) == errno.ENOSYS


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(UnknownMachine, match="m68k"):
        filter_for("none", "m68k")


async def test_the_kernel_takes_it_and_answers_so(stage: Stage, runner: Make) -> None:
    """Every call that is denied, made by a program; none of them does anything."""
    column = COLUMNS[os.uname().machine]
    numbers = [numbers[column] for numbers in DENIED.values() if numbers[column] is not None]
    program = runner(
        """
        import ctypes
        def main(job):
            libc = ctypes.CDLL(None, use_errno=True)
            answers = []
            for number in job.params["numbers"]:
                ctypes.set_errno(0)
                libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 5)
                answers.append(ctypes.get_errno())
            print(*answers)
        usina_runner.run(main)
        """
    )
    act = await stage.play(program, {"numbers": numbers})
    assert act.failure is None
    assert act.told.text.split() == [str(errno.EPERM)] * len(numbers)
