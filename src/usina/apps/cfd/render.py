"""Slices and streamlines by PyVista, in a process of its own (``python -m`` this module).

Drawing without a screen depends on the machine's graphics libraries, and where they are broken they
end the process. So nothing else lives in this one. It reads its order (`Order`) as JSON from
standard input. PyVista has no types: this is the one place that meets it.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

SECONDS: Final = 300
SEEDS: Final = 180
_SLICE_BYTES: Final = 950_000
_HEIGHT: Final = 1200
_LEGEND: Final = 264
_AWAY: Final = 3.0
_GOLDEN: Final = (5**0.5 - 1) / 2
_POLYHEDRON: Final = 42


class NotDrawn(Exception):
    """The child could not draw; the message is its last line."""


@dataclass(frozen=True, slots=True)
class Order:
    """``grid`` is OpenFOAM's ``internal.vtu``, or a lattice's ``velocity.vti``, whose velocity is
    to be multiplied by ``velocity``; ``surface`` is the particles' STL. Results go into
    ``outputs``, and of OpenFOAM the plane through the axis as arrays into ``plane`` (see
    `draw_slice`). Lengths in metres, ``density`` in kg/m3. The tube is drawn from ``low`` to
    ``high``."""

    grid: str
    surface: str
    outputs: str
    radius: float
    low: float
    high: float
    bed_high: float
    bed_low: float = 0.0
    plane: str | None = None
    density: float = 1.0
    velocity: float = 1.0


def render(order: Order, check: Callable[[], None]) -> None:
    """Draws in a child; ``check`` is called meanwhile, and what it raises ends the child. Raises
    `NotDrawn`."""
    argv = [sys.executable, "-m", "usina.apps.cfd.render"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        told: str | None = json.dumps(asdict(order))
        try:
            for _ in range(SECONDS * 10):
                check()
                try:
                    said, _ = child.communicate(told, timeout=0.1)
                except subprocess.TimeoutExpired:
                    told = None
                    continue
                break
            else:
                raise NotDrawn(f"Drawing took longer than {SECONDS} s.")
        finally:
            child.kill()
    if child.returncode:
        lines = [line for line in said.splitlines() if line.strip()]
        raise NotDrawn(lines[-1] if lines else f"Drawing ended with code {child.returncode}.")


def draw(order: Order) -> None:
    """``fields.vtu`` of OpenFOAM, ``slice.vtp``, ``streamlines.vtp`` first, then
    ``streamlines.png``: a picture may be impossible here, fields never are."""
    import pyvista

    view: Any = pyvista
    grid = view.read(order.grid)
    outputs = Path(order.outputs)
    if order.plane is None:
        fluid = _of_lattice(grid, order.velocity)
    else:
        fluid = grid = _plain(grid, order.density)
        grid.save(outputs / "fields.vtu")
    plane = _save_slice(fluid, outputs / "slice.vtp")
    if order.plane is not None:
        np.savez(
            order.plane,
            points=np.asarray(plane.points),
            faces=np.asarray(plane.faces).reshape(-1, 4)[:, 1:],
            speed=np.linalg.norm(np.asarray(plane.point_data["velocity_m_s"]), axis=1),
        )
    lines = _streamlines(view, grid, order)
    lines.save(outputs / "streamlines.vtp")
    _picture(view, order, lines, outputs / "streamlines.png")


def _plain(grid: Any, density: float) -> Any:
    """Pressure in Pa and velocity in m/s, in single precision, by cell and by point."""
    for data in (grid.cell_data, grid.point_data):
        pressure = np.asarray(data["p"]) * density
        velocity = np.asarray(data["U"])
        data.clear()
        data["pressure_pa"] = pressure.astype(np.float32)
        data["velocity_m_s"] = velocity.astype(np.float32)
    grid.field_data.clear()
    return grid


def _of_lattice(grid: Any, velocity: float) -> Any:
    """Gives the voxels their velocity in m/s; the part of them that is fluid."""
    told = np.asarray(grid.point_data["velocity"]) * velocity
    grid.point_data["velocity_m_s"] = told.astype(np.float32)
    del grid.point_data["velocity"]
    fluid = grid.threshold(0.5, scalars="fluid", all_scalars=True)
    for data in (grid, fluid):
        del data.point_data["fluid"]
    return fluid


def _save_slice(grid: Any, path: Path) -> Any:
    """The plane through the axis for browsers: points and triangles with values at points, below a
    megabyte however fine the mesh."""
    plane = grid.slice(normal="y", origin=(0, 0, 0)).triangulate()
    plane.cell_data.clear()
    plane.points = np.asarray(plane.points, dtype=np.float32)
    plane.save(path)
    if path.stat().st_size > _SLICE_BYTES:
        share = 1 - 0.8 * _SLICE_BYTES / path.stat().st_size
        plane.decimate(min(0.98, share), attribute_error=True).save(path)
    return plane


def _streamlines(view: Any, grid: Any, order: Order) -> Any:
    """Up and down from points spread evenly over the tube and along the bed, each on a sunflower
    across and at a height by the golden ratio."""
    number = np.arange(SEEDS) + 0.5
    away = order.radius * 0.97 * np.sqrt(number / SEEDS)
    turn = number * np.pi * (3 - np.sqrt(5))
    tall = order.bed_high - order.bed_low
    height = order.bed_low - 0.1 * tall + 1.1 * tall * (number * _GOLDEN % 1)
    seeds = view.PolyData(np.column_stack([away * np.cos(turn), away * np.sin(turn), height]))
    lines = _without_polyhedra(grid).streamlines_from_source(
        seeds,
        vectors="velocity_m_s",
        integration_direction="both",
        max_length=3 * (order.high - order.low),
        max_steps=20_000,
        initial_step_length=0.2,
        max_step_length=0.3,
        terminal_speed=1e-9,
        compute_vorticity=False,
    )
    lines.point_data["speed_m_s"] = np.linalg.norm(
        np.asarray(lines.point_data["velocity_m_s"]), axis=1
    ).astype(np.float32)
    for name in list(lines.point_data):
        if name not in ("speed_m_s", "pressure_pa"):
            del lines.point_data[name]
    lines.cell_data.clear()
    return lines


def _without_polyhedra(grid: Any) -> Any:
    """The same in cells that VTK can step through: in others its streamlines leap."""
    odd = np.asarray(getattr(grid, "celltypes", ())) == _POLYHEDRON
    if not odd.any():
        return grid
    return grid.extract_cells(~odd).merge(grid.extract_cells(odd).triangulate(), merge_points=True)


def _picture(view: Any, order: Order, lines: Any, path: Path) -> None:
    shape = 2 * order.radius / (order.high - order.low)
    width = int(min(1600, _HEIGHT * shape) + 2 * _LEGEND)
    plotter = view.Plotter(off_screen=True, window_size=(width, _HEIGHT))
    plotter.disable_anti_aliasing()  # in software it costs as much as all the rest
    plotter.set_background("white")
    plotter.add_mesh(view.read(order.surface), color="#b9c4ce", opacity=0.13)
    speed = np.asarray(lines.point_data["speed_m_s"])
    plotter.add_mesh(
        lines.tube(radius=order.radius * 0.012, n_sides=8) if len(speed) else lines,
        scalars="speed_m_s",
        cmap="viridis",
        clim=(0.0, float(np.quantile(speed, 0.995)) if len(speed) else 1.0),
        scalar_bar_args=_legend(width),
    )
    middle = (order.low + order.high) / 2
    wall = view.Cylinder(
        center=(0, 0, middle),
        direction=(0, 0, 1),
        radius=order.radius,
        height=order.high - order.low,
        resolution=96,
        capping=False,
    )
    plotter.add_mesh(wall, color="#8a97a6", opacity=0.08)
    plotter.camera.focal_point = (0.0, 0.0, middle)
    plotter.camera.position = (0.0, -_AWAY * order.high, middle + 0.2 * _AWAY * order.high)
    plotter.camera.up = (0.0, 0.0, 1.0)
    plotter.enable_parallel_projection()
    plotter.camera.parallel_scale = 0.54 * (order.high - order.low) + 0.2 * order.radius
    plotter.reset_camera_clipping_range()
    plotter.screenshot(str(path))
    plotter.close()


def _legend(width: int) -> dict[str, Any]:
    """Beside the tube, in a picture of so many pixels."""
    return {
        "title": "Speed (m/s)\n",
        "color": "#1d2733",
        "vertical": True,
        "position_x": 1 - 0.55 * _LEGEND / width,
        "position_y": 0.3,
        "height": 0.4,
        "width": 0.22 * _LEGEND / width,
        "title_font_size": 20,
        "label_font_size": 18,
        "fmt": "%.3g",
        "n_labels": 4,
    }


if __name__ == "__main__":
    draw(Order(**json.load(sys.stdin)))
