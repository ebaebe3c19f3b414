"""Whether it keeps off the network where its manifest says so."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from usina.kernel.runners.bench import Bench, Request
from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.subject import Subject
from usina.kernel.runners.check.trace import processes_below
from usina.kernel.runners.manifest import Resources

_LOOK_SECONDS: Final = 0.02
_TABLES: Final = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")
_TRY: Final = """\
import os, socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close()
os.write(3, b'{"type":"result"}\\n')
"""


async def none(subject: Subject) -> str:
    await subject.first()
    declared = subject.manifest.network
    if declared != "none":
        raise Unchecked(f"its manifest asks for network = {declared!r}")
    async with subject.fresh() as ground:
        kept_off = not await _reaches(subject, ground)
        async with _watched(ground.root) as sockets:
            act = await subject.play(ground=ground)
    if sockets:
        raise Broken(f"it opened the network ({', '.join(sorted(sockets))}) and declares none")
    if act.played.failure is not None:
        raise Broken(f"kept off the network it ended with {act.ending}")
    if not kept_off:
        raise Unchecked("no layer of the sandbox here keeps a program off; it was not seen to try")
    return "kept off, and done"


async def _reaches(subject: Subject, ground: Bench) -> bool:
    """Whether a program of this manifest could reach a server of this machine."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    visitor = subject.changed(
        name="visitor",
        command=(sys.executable, "-I", "-S", "-c", _TRY, str(port)),
        mode="cold",
        outputs={},
        resources=Resources(),
    )
    async with server:
        act = await subject.play(Request({}), ground=ground, manifest=visitor)
    return act.played.failure is None


@asynccontextmanager
async def _watched(root: Path) -> AsyncGenerator[set[str]]:
    """Collects the kinds of network sockets that programs below ``root`` hold open meanwhile."""
    seen: set[str] = set()

    async def watch() -> None:
        while True:
            for pid in processes_below(root):
                seen.update(_sockets(pid))
            await asyncio.sleep(_LOOK_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def _sockets(pid: int) -> set[str]:
    inodes = set(_inodes(pid))
    if not inodes:
        return set()
    return {
        table
        for table in _TABLES
        for line in _lines(Path(f"/proc/{pid}/net/{table}"))
        if inodes.intersection(line.split())
    }


def _inodes(pid: int) -> list[str]:
    found: list[str] = []
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                link = os.readlink(entry.path)  # noqa: PTH115
                if link.startswith("socket:["):
                    found.append(link[8:-1])
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", "replace").splitlines()[1:]
    except OSError:
        return []


CHECKS: Final = (Check("network", "With network = none it keeps off the network.", none),)
