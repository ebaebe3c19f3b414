"""What is going on, on stderr: bars on a terminal, else a line per change, for JSON nothing."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from usina.faces.cli.output import json_wanted, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Row(Protocol):
    """One job's place on the board."""

    def show(self, text: str, fraction: float | None = None) -> None:
        """What it does now, and how far it is, 0 to 1; null keeps the bar where it stands."""
        ...


class Board(Protocol):
    def row(self, title: str) -> Row: ...

    def write(self, text: str) -> None:
        """What a program says, in whole lines, above the bars."""
        ...


@contextmanager
def board() -> Generator[Board]:
    """The board that suits where stderr goes."""
    if sys.stderr.isatty():
        with _progress() as progress:
            yield _Bars(progress)
    elif json_wanted():
        yield _Silence()
    else:
        yield _Lines()


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.fields[title]}", style="bold", markup=False),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
    )


class _Bars:
    def __init__(self, progress: "Progress") -> None:
        self._progress = progress

    def row(self, title: str) -> Row:
        return _Bar(self._progress, self._progress.add_task("", total=1.0, title=title))

    def write(self, text: str) -> None:
        self._progress.console.print(text, end="", markup=False, highlight=False, soft_wrap=True)


class _Bar:
    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self._progress = progress
        self._task = task

    def show(self, text: str, fraction: float | None = None) -> None:
        self._progress.update(self._task, description=text, completed=fraction)


class _Lines:
    def row(self, title: str) -> Row:
        return _Line(title)

    def write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class _Line:
    """Says each text once; what only moves the bar is not worth a line."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._said = ""

    def show(self, text: str, fraction: float | None = None) -> None:
        if text != self._said:
            self._said = text
            say(f"{self._title}: {text}")


class _Silence:
    def row(self, title: str) -> Row:
        return self

    def show(self, text: str, fraction: float | None = None) -> None:
        """Nothing: stderr is for a problem object."""

    def write(self, text: str) -> None:
        """Nothing, likewise."""
