"""One run in a fresh process, watched from all sides: a run may cost an hour, so it answers many
checks."""

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from usina.kernel.runners.bench import Bench
from usina.kernel.runners.check.output import fingerprint
from usina.kernel.runners.check.subject import Act, Subject
from usina.kernel.runners.tree import carriers

COMMON: Final = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108
_CACHE: Final = "__pycache__"
_LOOK_SECONDS: Final = 0.02
_TABLES: Final = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")


@dataclass(frozen=True, slots=True)
class Observation:
    """``running`` are its processes after its answer, ``left`` after its end; ``outside`` is what
    it changed in its runner's folder or held open for writing; ``nearby`` is new in folders
    that all share, by whomever; ``sockets`` are the kinds that it held open."""

    act: Act
    fingerprint: dict[str, str]
    running: set[int]
    left: set[int]
    outside: set[Path]
    nearby: list[Path]
    sockets: set[str]


async def observe(subject: Subject) -> Observation:
    """Of the usual request; made once."""
    if subject.observation is None:
        subject.observation = await _observed(subject)
    return subject.observation


def processes_below(root: Path) -> set[int]:
    """Processes whose home is a work folder below ``root``."""
    return carriers(f"HOME={root}/".encode())


async def _observed(subject: Subject) -> Observation:
    folder = subject.manifest.folder
    before, common = dict(_tree(folder)), _common()
    async with subject.fresh() as ground:
        async with _watched(ground) as held:
            act = await subject.play(ground=ground)
        made = fingerprint(act.played, subject.manifest.deterministic)
        running = processes_below(ground.root)
        await ground.pool.close()
        left = processes_below(ground.root)
    changed = {Path(path) for path, seen in _tree(folder) if before.get(path) != seen}
    nearby = sorted(_common() - common)
    return Observation(act, made, running, left, changed | held.files, nearby, held.sockets)


def _common() -> set[Path]:
    return {path for folder in COMMON if folder.is_dir() for path in folder.iterdir()}


def _tree(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != _CACHE]
        for name in files:
            if (status := _status(f"{top}/{name}")) is not None:
                yield f"{top}/{name}", (status.st_mtime_ns, status.st_size)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


@dataclass(slots=True)
class _Held:
    """What programs were seen to hold open."""

    sockets: set[str] = field(default_factory=set[str])
    files: set[Path] = field(default_factory=set[Path])


@asynccontextmanager
async def _watched(ground: Bench) -> AsyncGenerator[_Held]:
    """Collects what programs of the bench hold open meanwhile."""
    held = _Held()

    async def watch() -> None:
        while True:
            for pid in processes_below(ground.root):
                held.sockets |= _sockets(pid)
                held.files |= _written(pid, ground.root)
            await asyncio.sleep(_LOOK_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield held
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def _written(pid: int, root: Path) -> set[Path]:
    """Files that a process holds open for writing, but for those below ``root``."""
    found: set[Path] = set()
    for number, link in _descriptors(pid):
        path = Path(link)
        if link.startswith("/") and not path.is_relative_to(root) and _flags(pid, number) & 3:
            with contextlib.suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode):
                    found.add(path)
    return found


def _flags(pid: int, number: str) -> int:
    """How a descriptor was opened, as ``open`` has it."""
    for line in _lines(Path(f"/proc/{pid}/fdinfo/{number}")):
        if line.startswith("flags:"):
            return int(line.split()[1], 8)
    return 0


def _sockets(pid: int) -> set[str]:
    links = [link for _, link in _descriptors(pid)]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    if not inodes:
        return set()
    return {
        table
        for table in _TABLES
        for line in _lines(Path(f"/proc/{pid}/net/{table}"))
        if inodes.intersection(line.split())
    }


def _descriptors(pid: int) -> list[tuple[str, str]]:
    """Each number with what it leads to."""
    found: list[tuple[str, str]] = []
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                found.append((entry.name, os.readlink(entry.path)))  # noqa: PTH115
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
