"""The table of a sweep: a row for each velocity of a simulation, one for each that failed."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

FIGURES: Final = (
    "velocity_m_s",
    "reynolds",
    "pressure_drop_pa",
    "pressure_gradient_pa_m",
    "ergun_pa_m",
    "eisfeld_schnitzlein_pa_m",
    "porosity_geometry",
    "porosity_mesh",
    "cells",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Row:
    """``figures`` are those of :data:`FIGURES` that the solver told, none of one that failed;
    ``gates_ok`` is null where it told no gate."""

    simulation_id: str
    bed_id: str | None
    status: str
    error: str | None
    over: Mapping[str, Any]
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    gates_ok: bool | None = None


def read_rows(members: Sequence[Mapping[str, Any]], reports: Sequence[Path]) -> list[Row]:
    """The members in their order; a report that tells nothing is a member without figures."""
    rows: list[Row] = []
    for member in members:
        place: int | None = member["report"]
        report: Any = {"results": []} if place is None else json.loads(reports[place].read_text())
        bare = Row(
            member["simulation_id"],
            member.get("bed_id"),
            member["status"],
            _reason(member.get("error")),
            member["over"],
        )
        found = [_with(bare, result) for result in report["results"]]
        rows.extend(found or [bare])
    return rows


def _with(bare: Row, result: Mapping[str, Any]) -> Row:
    figures = {name: float(result[name]) for name in FIGURES if _is_number(result.get(name))}
    gates = [gate.get("ok") is True for gate in result.get("gates", [])]
    return Row(
        bare.simulation_id,
        bare.bed_id,
        bare.status,
        bare.error,
        bare.over,
        figures,
        all(gates) if gates else None,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _reason(error: Mapping[str, Any] | None) -> str | None:
    return None if error is None else f"{error.get('reason') or error['code']}: {error['message']}"


def varied(over: Sequence[str]) -> list[str]:
    """The fields that are columns of their own: a velocity stands among the figures."""
    return [name for name in over if name not in FIGURES]


def write_csv(path: Path, over: Sequence[str], rows: Sequence[Row]) -> None:
    """RFC 4180 in UTF-8. A text that a spreadsheet would take for a formula begins with ``'``."""
    own = varied(over)
    header = ["simulation_id", "bed_id", "status", *own, *FIGURES, "gates_ok", "error"]
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(header)
        for row in rows:
            figures = [row.figures.get(name, row.over.get(name)) for name in FIGURES]
            told = [row.simulation_id, row.bed_id, row.status, *map(row.over.get, own)]
            table.writerow(map(_cell, [*told, *figures, row.gates_ok, row.error]))


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case _:
            return json.dumps(value)


def write_json(path: Path, name: str, over: Sequence[str], rows: Sequence[Row]) -> None:
    """``{name, over, rows: [...]}``, a row with the same names as the columns of the CSV."""
    told = [
        {
            "simulation_id": row.simulation_id,
            "bed_id": row.bed_id,
            "status": row.status,
            **row.over,
            **row.figures,
            "gates_ok": row.gates_ok,
            "error": row.error,
        }
        for row in rows
    ]
    path.write_text(json.dumps({"name": name, "over": list(over), "rows": told}, indent=1))
