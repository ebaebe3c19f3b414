"""OpenFOAM's fields read back as arrays, and what they say of a bed."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from usina.apps.cfd.foam.layout import Layout
from usina.imaging.array import Field

_INTERNAL: Final = re.compile(
    rb"internalField\s+(?:uniform\s+(?P<same>[^;]+);"
    rb"|nonuniform\s+List<(?:scalar|vector)>\s+(?P<count>\d+)\s*\()"
)
_INLET: Final = re.compile(rb"(\binlet\s*\{[^}]*?\bvalue\s+uniform\s+)\([^)]*\)")
_SLABS_PER_DIAMETER: Final = 4
_HEAD_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a mesh: ``heights_m`` of their centres and ``volumes_m3``, both ``(n,)``."""

    heights_m: Field
    volumes_m3: Field


@dataclass(frozen=True, slots=True)
class Slope:
    """The pressure along a bed. ``heights_m`` and ``pressures_pa`` ``(k,)`` are means over slabs
    across the whole tube; ``gradient_pa_m`` is the fall over the core by least squares, ``fit`` its
    coefficient of determination; ``porosity`` the fluid's share of the core in the mesh."""

    heights_m: Field
    pressures_pa: Field
    gradient_pa_m: float
    fit: float
    porosity: float


def read_field(path: Path, width: int = 1) -> Field:
    """The internal field of a file in binary: ``(n,)``, or ``(n, width)`` of vectors; of a uniform
    one, ``(1,)`` or ``(1, width)``. Raises ``ValueError`` for what is none."""
    data = path.read_bytes()
    match = _INTERNAL.search(data, 0, _HEAD_BYTES)
    if match is None:
        raise ValueError(f"{path.name} holds no field")
    if match["same"] is not None:
        numbers = [float(word) for word in match["same"].strip(b" ()").split()]
        values = np.array(numbers)
    else:
        count = int(match["count"]) * width
        values = np.frombuffer(data, "<f8", count, match.end()).astype(np.float64)
    return values if width == 1 else values.reshape(-1, width)


def read_cells(folders: Sequence[Path]) -> Cells:
    """Of the time folders of all parts of a case."""
    centres = np.concatenate([read_field(folder / "C", 3) for folder in folders])
    volumes = np.concatenate([read_field(folder / "V") for folder in folders])
    return Cells(centres[:, 2].copy(), volumes)


def read_pressure(folders: Sequence[Path]) -> Field:
    """The kinematic pressure ``(n,)`` in m2/s2, in the order of `read_cells`."""
    return np.concatenate([read_field(folder / "p") for folder in folders])


def set_inlet(folder: Path, velocity: float) -> bool:
    """Changes the velocity at the inlet in the field ``U`` of a time folder; false when this part
    of a case has no face there."""
    path = folder / "U"
    said = repr(float(velocity)).encode("ascii")
    data, count = _INLET.subn(rb"\g<1>(0 0 " + said + rb")", path.read_bytes())
    if count:
        path.write_bytes(data)
    return count == 1


def slope_of(cells: Cells, pressure: Field, layout: Layout, density: float) -> Slope:
    """``pressure`` is kinematic, ``(n,)`` in the order of the cells."""
    width = layout.particle_m / _SLABS_PER_DIAMETER
    count = max(8, math.ceil((layout.high_m - layout.low_m) / width))
    edges = np.linspace(layout.low_m, layout.high_m, count + 1)
    place = np.clip(np.searchsorted(edges, cells.heights_m, "right") - 1, 0, count - 1)
    weight = np.bincount(place, cells.volumes_m3, count)
    held = weight > 0
    total = np.bincount(place, cells.volumes_m3 * pressure, count)
    heights = ((edges[1:] + edges[:-1]) / 2)[held]
    pressures = density * total[held] / weight[held]
    core = (heights >= layout.core_low_m) & (heights <= layout.core_high_m)
    gradient, fit = _line(heights[core], pressures[core])
    return Slope(heights, pressures, gradient, fit, _porosity(cells, layout))


def _line(heights: Field, pressures: Field) -> tuple[float, float]:
    if len(heights) < 3:
        return math.nan, math.nan
    slope, offset = np.polyfit(heights, pressures, 1)
    rest = pressures - (slope * heights + offset)
    spread = float(((pressures - pressures.mean()) ** 2).sum())
    fit = 1 - float((rest**2).sum()) / spread if spread else math.nan
    return -float(slope), fit


def _porosity(cells: Cells, layout: Layout) -> float:
    """Cells whose centre lies in the core, over the tube's room there."""
    low, high = layout.core_low_m, layout.core_high_m
    inside = (cells.heights_m >= low) & (cells.heights_m < high)
    return float(cells.volumes_m3[inside].sum()) / (layout.area_m2 * (high - low))
