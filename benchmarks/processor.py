"""Processor time of processes with all that they have started: the same on a busy machine."""

from collections.abc import Iterator
from pathlib import Path


def spent_ms(roots: list[int]) -> float:
    """What the processes and those below them have used so far; ended ones no longer count."""
    return sum(_own_ns(task) for root in roots for task in _tasks(root)) / 1e6


def _tasks(process: int) -> Iterator[Path]:
    """Every thread of the process and of those that it has started."""
    for task in Path(f"/proc/{process}/task").glob("*"):
        yield task
        try:
            children = (task / "children").read_text().split()
        except FileNotFoundError:  # ended meanwhile
            continue
        for child in children:
            yield from _tasks(int(child))


def _own_ns(task: Path) -> int:
    try:
        return int((task / "schedstat").read_text().split()[0])
    except FileNotFoundError:
        return 0
