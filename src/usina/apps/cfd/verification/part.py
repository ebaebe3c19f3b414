"""A part of the verification: cases that are computed one by one, and what becomes of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from usina.apps.cfd.plot import Chart


@dataclass(frozen=True, slots=True)
class Row:
    """A figure that was computed. ``expected`` is what it is held against, and ``tolerance`` the
    share by which it may differ; null where it is only shown. ``at`` is where a chart puts it,
    ``more`` are further columns."""

    case: str
    computed: float
    expected: float | None = None
    tolerance: float | None = None
    at: Mapping[str, float] = field(default_factory=dict[str, float])
    more: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def deviation(self) -> float | None:
        return self.computed / self.expected - 1 if self.expected else None

    @property
    def kept(self) -> bool | None:
        """Whether it is within its tolerance; null where there is none."""
        if self.deviation is None or self.tolerance is None:
            return None
        return abs(self.deviation) <= self.tolerance


@dataclass(frozen=True, slots=True)
class Part:
    """``name`` is its word on the command line and its file; ``about`` and ``source`` are what the
    page says of it; ``quantity`` names the figure. ``cases`` are computed by their names, in
    minutes at most; ``charts`` draws the rows that are there."""

    name: str
    title: str
    about: str
    source: str
    quantity: str
    cases: Mapping[str, Callable[[], Row]]
    chart: Callable[[Sequence[Row]], Chart] | None = None


@dataclass(slots=True)
class Record:
    """What was computed of a part, kept as JSON after each case."""

    path: Path
    rows: dict[str, Row] = field(default_factory=dict[str, Row])

    @classmethod
    def read(cls, path: Path) -> "Record":
        if not path.is_file():
            return cls(path)
        told: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
        return cls(path, {name: Row(**row) for name, row in told.items()})

    def keep(self, name: str, row: Row) -> None:
        """Written whole, so that a run that is cut off goes on from here."""
        self.rows[name] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        told = {name: asdict(row) for name, row in self.rows.items()}
        fresh.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
        fresh.replace(self.path)
