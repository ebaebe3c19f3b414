"""The plots of a flow, in the house style."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from usina.apps.cfd.correlation import (
    Flow,
    eisfeld_schnitzlein_resistance,
    ergun_resistance,
    kind_of,
)
from usina.apps.cfd.foam.layout import Layout
from usina.apps.cfd.foam.log import FIELDS, History
from usina.apps.cfd.foam.option import Fluid
from usina.apps.cfd.foam.outcome import bed_of
from usina.apps.cfd.particles import Shape
from usina.apps.cfd.plot import Chart, Line, canvas, draw_chart
from usina.imaging.array import Field

Row = Mapping[str, Any]
_WIDE = 10


def draw_pressure(path: Path, rows: Sequence[Row], layout: Layout) -> None:
    """Along the axis, one line a velocity; the core that the gradient is of is shaded."""
    lines: list[Line] = []
    for row in rows:
        heights = 1e3 * np.asarray(row["profile"]["height_m"])
        pressures = np.asarray(row["profile"]["pressure_pa"])
        shown = pressures / abs(pressures[0]) if len(rows) > 1 else pressures
        lines.append(Line(heights, shown, f"{row['velocity_m_s']:g} m/s"))
    several = len(rows) > 1
    draw_chart(
        path,
        Chart(
            "Pressure along the bed",
            "height z (mm)",
            "pressure over that at the inlet" if several else "pressure (Pa)",
            lines,
            shaded=(1e3 * layout.core_low_m, 1e3 * layout.core_high_m),
        ),
    )


def draw_residuals(path: Path, history: History) -> None:
    """Initial residuals and the pressure at the inlet over its last value, by iteration."""
    names = {"p": "pressure", "Ux": "velocity x", "Uy": "velocity y", "Uz": "velocity z"}
    lines = [
        Line(history.iterations, _positive(history.residuals[name]), names[name]) for name in FIELDS
    ]
    if history.pressures:
        last = abs(history.pressures[-1]) or 1.0
        drop = [pressure / last for pressure in history.pressures]
        lines.append(
            Line(history.iterations, _positive(drop), "pressure drop over its last", "dashed")
        )
    draw_chart(
        path,
        Chart(
            *("Residuals", "iteration", "initial residual", lines),
            y_logarithmic=True,
            legend="lower left",
        ),
    )


def draw_drop(path: Path, rows: Sequence[Row], layout: Layout, shape: Shape, fluid: Fluid) -> None:
    """The gradient against the velocity, with both correlations of the same bed."""
    found: Field = np.array([row["velocity_m_s"] for row in rows])
    wide = bool(found.max() > _WIDE * found.min())
    low, high = (found.min() / 2, found.max() * 2) if wide else (0.0, 1.4 * found.max())
    spread = np.geomspace if wide else np.linspace
    speeds = np.asarray(spread(low, high, 80), dtype=np.float64)
    bed = bed_of(shape, layout)
    flows = [Flow(fluid.density_kg_m3, fluid.viscosity_pa_s, float(speed)) for speed in speeds]
    by_ergun, with_wall = ergun_resistance(bed), eisfeld_schnitzlein_resistance(bed, kind_of(shape))
    draw_chart(
        path,
        Chart(
            "Pressure gradient against velocity",
            "superficial velocity (m/s)",
            "pressure gradient (Pa/m)",
            [
                Line(
                    speeds, [by_ergun.gradient_pa_m(flow) for flow in flows], "Ergun 1952", "dashed"
                ),
                Line(
                    speeds,
                    [with_wall.gradient_pa_m(flow) for flow in flows],
                    "Eisfeld and Schnitzlein 2001",
                ),
                Line(found, [row["pressure_gradient_pa_m"] for row in rows], "this mesh", "dots"),
            ],
            x_logarithmic=wide,
            y_logarithmic=wide,
        ),
    )


def draw_slice(path: Path, plane: Path, layout: Layout) -> None:
    """The speed in the plane through the axis, the tube lying: what flows goes to the right.

    ``plane`` is an ``npz`` of ``points`` ``(n, 3)`` in metres, triangles ``faces`` ``(m, 3)`` and
    ``speed`` ``(n,)`` in m/s."""
    with np.load(plane) as told:
        points, faces, speed = 1e3 * told["points"], told["faces"], told["speed"]
    shape = (layout.high_m - layout.low_m) / layout.diameter_m
    with canvas(path, width=11, height=max(2.6, min(6.0, 9.5 / shape + 1.4))) as axes:
        drawn = axes.tripcolor(
            points[:, 2],
            points[:, 0],
            faces,
            speed,
            shading="gouraud",
            cmap="viridis",
            vmin=0,
            vmax=float(np.quantile(speed, 0.998)),
        )
        axes.set_aspect("equal")
        axes.set_facecolor("#dfe4e9")
        axes.grid(visible=False)
        axes.set_title("Speed in the plane through the axis")
        axes.set_xlabel("height z (mm)")
        axes.set_ylabel("x (mm)")
        axes.figure.colorbar(drawn, ax=axes, label="speed (m/s)", pad=0.02, fraction=0.03)


def _positive(values: Sequence[float]) -> list[float]:
    """What a logarithmic axis can show."""
    return [value if value > 0 else float("nan") for value in values]
