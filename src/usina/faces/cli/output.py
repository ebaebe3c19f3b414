"""Data on stdout, people's words on stderr."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    M = TypeVar("M", bound=BaseModel)

Data: TypeAlias = "bool | int | float | str | Sequence[Data] | Mapping[str, Data] | None"

_json_wanted: ContextVar[bool] = ContextVar("json_wanted", default=False)


def want_json(value: bool) -> bool:
    """Remember that JSON is wanted; says whether it is."""
    if value:
        _json_wanted.set(True)
    return _json_wanted.get()


JsonFlag = Annotated[
    bool, typer.Option("--json", callback=want_json, help="Print the data as JSON.")
]


def json_wanted() -> bool:
    """Whether --json was given, before the command or after it."""
    return _json_wanted.get()


def forget_json() -> None:
    """Start anew: for a second command line in one process."""
    _json_wanted.set(False)


def show_json(data: Data) -> None:
    sys.stdout.write(as_json(data) + "\n")
    sys.stdout.flush()


def as_json(data: Data) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)


def show(*lines: str) -> None:
    """Data as plain lines."""
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show_one(data: Data, *lines: str) -> None:
    """The data with --json, else the lines."""
    if json_wanted():
        show_json(data)
    else:
        show(*lines)


def say(*lines: str) -> None:
    """Words for people."""
    for line in lines:
        sys.stderr.write(line + "\n")
    sys.stderr.flush()


def show_list(
    items: "Sequence[M]", columns: Sequence[str], row: "Callable[[M], Sequence[str]]"
) -> None:
    """What was listed: an array with --json, else a table."""
    if json_wanted():
        show_json([item.model_dump(mode="json") for item in items])
    else:
        show_table(columns, [row(item) for item in items])


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    styles: Mapping[str, str] | None = None,
) -> None:
    """A table on a terminal; elsewhere one line per row, its cells parted by tabs. ``styles`` are
    of cells, by their text."""
    if not sys.stdout.isatty():
        show(*("\t".join(row) for row in rows))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, (styles or {}).get(cell, "")) for cell in row))
    Console().print(table)


def show_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values, one pair per line."""
    width = max((len(name) for name, _ in pairs), default=0)
    show(*(f"{name:<{width}}  {value}" for name, value in pairs))


def size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
