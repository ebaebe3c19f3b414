"""What it leaves behind: no process, no file outside its work folder, no heap in its home."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from usina.kernel.runners.check.finding import Broken, Check, Unchecked
from usina.kernel.runners.check.subject import Subject
from usina.kernel.runners.tree import carriers

_COMMON: Final = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108
_CACHE: Final = "__pycache__"
_OWN: Final = {"inputs", "outputs", "job.json"}
_Seen = dict[str, tuple[int, int]]


def processes_below(root: Path) -> set[int]:
    """Processes whose home is a work folder below ``root``."""
    return carriers(f"HOME={root}/".encode())


async def no_process(subject: Subject) -> str:
    await subject.first()
    async with subject.fresh() as ground:
        act = await subject.play(ground=ground)
        running = processes_below(ground.root)
        if not subject.warm and running:
            raise Broken(f"it ended, and processes {sorted(running)} did not")
        await ground.pool.close()
        if left := processes_below(ground.root):
            raise Broken(f"processes {sorted(left)} outlived it")
    return f"{act.ending}, then none"


async def no_file(subject: Subject) -> str:
    """Of what appears in folders that all share, only what appears again is the program's."""
    await subject.first()
    found = await _left_outside(subject)
    if any(path.parent in _COMMON for path in found):
        again = await _left_outside(subject)
        shared = {path.parent for path in again}
        found = [p for p in found if p.parent not in _COMMON or p.parent in shared]
    if found:
        raise Broken(
            f"it wrote {', '.join(str(path) for path in found[:5])}; "
            "its own places are the folder it starts in, HOME and TMPDIR"
        )
    return f"nothing new in its folder, {', '.join(map(str, _COMMON))}"


async def _left_outside(subject: Subject) -> list[Path]:
    """What a run in a fresh process adds or changes outside of its work folder."""
    before = _outside(subject.manifest.folder)
    async with subject.fresh() as ground:
        mine = {str(parent) for parent in (ground.root, *ground.root.parents)}
        await subject.play(ground=ground)
    after = _outside(subject.manifest.folder)
    changed = [path for path, seen in after.items() if before.get(path) != seen]
    return [Path(path) for path in changed if path not in mine]


def _outside(folder: Path) -> _Seen:
    """By path: when it changed and how large it is; of folders that all share, only what is new
    and ours."""
    seen = dict(_tree(folder))
    for common in _COMMON:
        if common.is_dir():
            for entry in os.scandir(common):
                if _status(entry.path, owner=os.getuid()) is not None:
                    seen[entry.path] = (0, 0)
    return seen


def _tree(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != _CACHE]
        for name in files:
            path = f"{top}/{name}"
            if (status := _status(path)) is not None:
                yield path, (status.st_mtime_ns, status.st_size)


def _status(path: str, owner: int | None = None) -> os.stat_result | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status if owner in (None, status.st_uid) else None


async def home(subject: Subject) -> str:
    await subject.first()
    if not subject.warm:
        raise Unchecked("it is cold: its home goes with the job")
    heap = sorted(
        str(path.relative_to(top))
        for top in subject.bench.root.glob("warm-*")
        for path in top.rglob("*")
        if str(path.relative_to(top)) not in _OWN
    )
    if heap:
        raise Broken(
            f"between jobs its home holds {', '.join(heap[:5])}; "
            "write to the job's work folder, which goes with the job"
        )
    return "empty between jobs"


CHECKS: Final = (
    Check("no-process-left", "No process outlives it.", no_process),
    Check("no-file-outside", "It writes nothing outside of its work folder.", no_file),
    Check("home-empty", "Warm, its home is empty between jobs.", home),
)
