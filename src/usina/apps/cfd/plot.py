"""The house style of a chart: quiet, legible in print, the same bytes for the same numbers."""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

from usina.apps.cfd.kept import kept_folder

os.environ.setdefault("MPLCONFIGDIR", str(kept_folder("matplotlib")))

import matplotlib as mpl  # it looks for its list of fonts as it is imported

from usina.imaging.array import Field

Style: TypeAlias = Literal["line", "dashed", "dots"]

INK, FAINT = "#1d2733", "#8a97a6"
COLOURS: Final = ("#0f6fb4", "#d1603d", "#2a9d78", "#8a5fbf", "#c9a227", "#5b6b7b")

_STYLE: Final = {
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6ebf0",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.15,
}
_LOOKS: Final[dict[Style, dict[str, Any]]] = {
    "line": {},
    "dashed": {"linestyle": (0, (5, 3)), "linewidth": 1.5},
    "dots": {"linestyle": "none", "marker": "o", "markersize": 6},
}

_mpl = cast("Any", mpl)
_mpl.use("Agg")


@dataclass(frozen=True, slots=True)
class Line:
    """``x`` and ``y`` of one length; without a label it is not in the legend."""

    x: Field | Sequence[float]
    y: Field | Sequence[float]
    label: str = ""
    style: Style = "line"
    colour: str | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over one pair of axes; limits are ``(low, high)``. ``shaded`` is a span of x that the
    eye should find, as the bed along a tube; ``legend`` its place, in Matplotlib's words."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    x_logarithmic: bool = False
    y_logarithmic: bool = False
    shaded: tuple[float, float] | None = None
    legend: str = "best"


def draw_chart(path: Path, chart: Chart, *, width: float = 8, height: float = 4.6) -> None:
    """Write it as PNG, or SVG by the suffix; sizes in inches of 100 pixels."""
    with canvas(path, width, height) as axes:
        for number, line in enumerate(chart.lines):
            colour = line.colour or COLOURS[number % len(COLOURS)]
            axes.plot(line.x, line.y, color=colour, label=line.label, **_LOOKS[line.style])
        if chart.shaded:
            axes.axvspan(*chart.shaded, color="#eef3f8", zorder=0)
        axes.set_title(chart.title)
        axes.set_xlabel(chart.x_label)
        axes.set_ylabel(chart.y_label)
        axes.set_xscale("log" if chart.x_logarithmic else "linear")
        axes.set_yscale("log" if chart.y_logarithmic else "linear")
        axes.set_xlim(chart.x_limits)
        axes.set_ylim(chart.y_limits)
        if any(line.label for line in chart.lines):
            axes.legend(loc=chart.legend)


@contextmanager
def canvas(path: Path, width: float = 8, height: float = 4.6) -> Generator[Any]:
    """Matplotlib's axes in the house style, for what `draw_chart` has no word for; the picture is
    written to ``path`` at the end."""
    from matplotlib.figure import Figure

    with _mpl.rc_context(_STYLE):
        figure = cast("Any", Figure)(figsize=(width, height))
        yield figure.add_subplot()
        figure.savefig(path, metadata={"Software": None} if path.suffix == ".png" else None)
