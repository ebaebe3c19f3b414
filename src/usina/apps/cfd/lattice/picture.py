"""The flow in pictures: two cuts, where along the radius it runs, how it settled, what it costs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from usina.apps.cfd.correlation import (
    eisfeld_schnitzlein,
    eisfeld_schnitzlein_resistance,
    ergun,
    particle_reynolds,
)
from usina.apps.cfd.lattice.answer import Solved
from usina.apps.cfd.lattice.question import Question
from usina.apps.cfd.lattice.stokes import LOOK_EVERY
from usina.apps.cfd.plot import INK, Chart, Line, canvas, draw_chart
from usina.imaging.array import Field

_SOLID: Final = "#cfd6dd"
_POINTS: Final = 60


def draw_cuts(path: Path, found: Solved) -> None:
    """The speed in a plane through the axis and in one across it, over the superficial one."""
    speed = np.sqrt((found.mobility**2).sum(axis=0)) / found.permeability_m2
    fluid, grid = found.grid.fluid, found.grid
    middle, layer = fluid.shape[1] // 2, fluid.shape[0] // 2
    most = float(np.percentile(speed[fluid], 99.5))
    half = grid.voxel_m * fluid.shape[2] / 2 * 1000
    tall = (grid.low_m * 1000, grid.high_m * 1000)
    height = 6.4
    width = height * (0.62 + 2 * half / (tall[1] - tall[0]) * 1.9)
    with canvas(path, min(15.0, max(7.5, width)), height) as axes:
        figure = axes.figure
        axes.remove()
        along, across = figure.subplots(
            1, 2, gridspec_kw={"width_ratios": [2 * half, 2 * half], "wspace": 0.28}
        )
        _cut(along, speed[:, middle], fluid[:, middle], (-half, half, *tall), most)
        shown = _cut(across, speed[layer], fluid[layer], (-half, half, -half, half), most)
        along.set(title="Along the axis", xlabel="x in mm", ylabel="z in mm (flow upwards)")
        across.set(
            title=f"Across, z = {grid.heights()[layer] * 1000:.1f} mm",
            xlabel="x in mm",
            ylabel="y in mm",
        )
        bar = figure.colorbar(shown, ax=[along, across], shrink=0.85, pad=0.02)
        bar.set_label("speed over superficial velocity")
        bar.outline.set_visible(False)


def _cut(
    axes: Any, speed: Field, fluid: Any, extent: tuple[float, float, float, float], most: float
) -> Any:
    shown = axes.imshow(
        np.ma.masked_where(~fluid, speed),
        origin="lower",
        extent=extent,
        cmap="viridis",
        vmin=0,
        vmax=most,
        interpolation="nearest",
    )
    axes.set_facecolor(_SOLID)
    axes.grid(visible=False)
    return shown


def draw_radial(path: Path, found: Solved) -> None:
    """The mean axial velocity and the porosity by the distance from the wall."""
    grid, across = found.grid, found.piece.particles.shape.diameter_m
    away = found.piece.tube_diameter_m / 2 - grid.from_axis()
    count = max(4, int(found.piece.tube_diameter_m / 2 / grid.voxel_m))
    ring = np.clip((away / (found.piece.tube_diameter_m / 2) * count).astype(int), 0, count - 1)
    inside = away > 0
    columns = np.bincount(ring[inside], minlength=count) * grid.fluid.shape[0]
    flow = np.bincount(ring[inside], found.mobility[2].sum(axis=0)[inside], count)
    void = np.bincount(ring[inside], grid.fluid.sum(axis=0)[inside].astype(float), count)
    place = (np.arange(count) + 0.5) / count * found.piece.tube_diameter_m / 2 / across
    chart = Chart(
        "Where the fluid runs",
        "distance from the wall in particle diameters",
        "mean of the ring",
        (
            Line(place, flow / columns / found.permeability_m2, "axial over superficial velocity"),
            Line(place, void / columns, "porosity", "dashed"),
        ),
        x_limits=(0, float(place[-1])),
        y_limits=(0, 1.08 * max(1.0, float((flow / columns).max()) / found.permeability_m2)),
    )
    draw_chart(path, chart)


def draw_settling(path: Path, found: Solved) -> None:
    """The permeability by steps."""
    flows = np.array(found.settling.flows)
    steps = LOOK_EVERY * np.arange(1.0, len(flows) + 1)
    chart = Chart(
        "How the flow settled",
        "steps",
        "permeability over its last value",
        (Line(steps, flows / flows[-1]),),
    )
    draw_chart(path, chart, height=3.6)


def draw_gradient(path: Path, found: Solved, question: Question) -> None:
    """The pressure gradient by velocity: computed, with the correlation's inertia, and by the two
    correlations alone."""
    asked = sorted(question.velocities_m_s)
    low, high = math.log10(asked[0]) - 1, math.log10(asked[-1]) + 1
    shown = [10**each for each in np.linspace(low, high, _POINTS).tolist()]
    piece, flows = found.piece, [question.flow(each) for each in shown]
    slowest, fastest = (particle_reynolds(piece.bed, flows[end]) for end in (0, -1))
    viscous = [question.viscosity_pa_s * each / found.permeability_m2 for each in shown]
    by_ergun = [ergun(piece.bed, flow).value for flow in flows]
    by_eisfeld = [eisfeld_schnitzlein(piece.bed, flow, piece.kind).value for flow in flows]
    chart = Chart(
        f"Pressure gradient, Re_p from {slowest:.3g} to {fastest:.3g}",
        "superficial velocity in m/s",
        "pressure gradient in Pa/m",
        (
            Line(shown, _gradients(found, question, shown), "computed, inertia by correlation"),
            Line(shown, viscous, "computed (Darcy) alone", "dashed"),
            Line(shown, by_ergun, "Ergun", "dashed"),
            Line(shown, by_eisfeld, "Eisfeld and Schnitzlein", "dashed"),
            Line(asked, _gradients(found, question, asked), "asked for", "dots", INK),
        ),
        x_logarithmic=True,
        y_logarithmic=True,
    )
    draw_chart(path, chart)


def _gradients(found: Solved, question: Question, velocities: Sequence[float]) -> list[float]:
    """What is told for such velocities, in Pa/m."""
    resistance = eisfeld_schnitzlein_resistance(found.piece.bed, found.piece.kind)
    return [
        question.viscosity_pa_s * each / found.permeability_m2
        + resistance.inertial_pa_m(question.flow(each))
        for each in velocities
    ]
