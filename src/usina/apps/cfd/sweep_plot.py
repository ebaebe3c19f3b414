"""The plot of a sweep: pressure gradient over what is varied, beside the correlations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from usina.apps.cfd.plot import COLOURS, FAINT, Chart, Line, draw_chart
from usina.apps.cfd.sweep_table import Row

_Y: Final = "pressure_gradient_pa_m"
_VELOCITY: Final = "velocity_m_s"
_MOST_SERIES: Final = 12
_CORRELATIONS: Final = {"ergun_pa_m": "Ergun", "eisfeld_schnitzlein_pa_m": "Eisfeld-Schnitzlein"}
_LABELS: Final = {_VELOCITY: "superficial velocity / (m/s)"}


def draw(path: Path, name: str, over: Sequence[str], rows: Sequence[Row]) -> None:
    """Dots are what was simulated, a colour for each combination of the other values; with few
    series the correlations are drawn too. Without any result it says so."""
    shown = [row for row in rows if _Y in row.figures]
    axis = _axis(over, shown)
    lines = _lines(axis, over, shown)
    failed = len({row.simulation_id for row in rows if not row.figures})
    title = _text(name) + (f" ({failed} without a result)" if failed else "")
    x_label = _LABELS.get(axis, axis.replace("_", " ").replace(".", " ")) if lines else ""
    chart = Chart(title, x_label, "pressure gradient / (Pa/m)", lines)
    draw_chart(path, chart)


def _axis(over: Sequence[str], rows: Sequence[Row]) -> str:
    """Velocity where there are several, else the first field whose values are numbers."""
    if len({row.figures.get(_VELOCITY) for row in rows}) > 1:
        return _VELOCITY
    numeric = (name for name in over if all(_number(row, name) is not None for row in rows))
    return next(numeric, _VELOCITY)


def _lines(axis: str, over: Sequence[str], rows: Sequence[Row]) -> list[Line]:
    others = [name for name in over if name != axis]
    series: dict[str, list[Row]] = {}
    for row in rows:
        series.setdefault(_named(row.over, others), []).append(row)
    many = len(series) > _MOST_SERIES
    lines: list[Line] = []
    for number, (label, members) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        members.sort(key=lambda row: _number(row, axis) or 0.0)
        xs = [_number(row, axis) or 0.0 for row in members]
        ys = [row.figures[_Y] for row in members]
        lines.append(Line(xs, ys, "" if many else label or "simulated", "dots", colour))
        for figure, told in {} if many else _CORRELATIONS.items():
            known = [
                (x, row.figures[figure])
                for x, row in zip(xs, members, strict=True)
                if figure in row.figures
            ]
            if known:
                style = "dashed" if figure == "ergun_pa_m" else "line"
                shade = colour if len(series) > 1 else FAINT
                lines.append(
                    Line(
                        *map(list, zip(*known, strict=True)),
                        told if not number else "",
                        style,
                        shade,
                    )
                )
    return lines


def _number(row: Row, name: str) -> float | None:
    value: Any = row.figures.get(name, row.over.get(name))
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good else None


def _named(over: Mapping[str, Any], names: Sequence[str]) -> str:
    told = [f"{name.replace('_', ' ')} {_shown(over.get(name))}" for name in names]
    return ", ".join(told)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else _text(str(value))


def _text(text: str) -> str:
    """A dollar would begin a formula."""
    return text.replace("$", r"\$")
