"""Screws, nuts and washers by their standards, with true threads.

Threads have the basic profile of ISO 68-1 with the coarse pitches of ISO 261, without allowances:
a bolt and a nut of one size touch along their flanks.
"""

from dataclasses import dataclass
from math import pi, radians, sqrt, tan
from typing import Annotated

import numpy as np
from manifold3d import Manifold

from usina.apps.threed.parametric.body import Body, main
from usina.apps.threed.parametric.measure import Length, Thread, within
from usina.apps.threed.parametric.shape import (
    circle,
    cylinder,
    turn,
)
from usina.apps.threed.parametric.solid import from_mesh, numbered, section
from usina.imaging.array import Field, Indices

_MM = 1e-3
_COLUMNS = 64


@dataclass(frozen=True, slots=True)
class Metric:
    """One thread size; all lengths in millimetres.

    ``pitch``: ISO 261, coarse. ``flats``, ``head``: width across flats s and height k (nominal) of
    hexagon heads, ISO 4014 and ISO 4017; ``nut``: height m (largest), ISO 4032, whose s is that of
    the bolts. ``hole``, ``disc``, ``sheet``: d1 (smallest), d2 (largest) and h (nominal) of
    ISO 7089. ``cap``, ``socket``, ``deep``: dk (largest, plain), s (nominal) and t (smallest) of
    ISO 4762, whose k is d.
    """

    size: float
    pitch: float
    flats: float
    head: float
    nut: float
    hole: float
    disc: float
    sheet: float
    cap: float
    socket: float
    deep: float


METRIC = {
    f"M{row[0]:g}": Metric(*row)
    for row in (
        (1.6, 0.35, 3.2, 1.1, 1.3, 1.7, 4, 0.3, 3, 1.5, 0.7),
        (2, 0.4, 4, 1.4, 1.6, 2.2, 5, 0.3, 3.8, 1.5, 1),
        (2.5, 0.45, 5, 1.7, 2, 2.7, 6, 0.5, 4.5, 2, 1.1),
        (3, 0.5, 5.5, 2, 2.4, 3.2, 7, 0.5, 5.5, 2.5, 1.3),
        (4, 0.7, 7, 2.8, 3.2, 4.3, 9, 0.8, 7, 3, 2),
        (5, 0.8, 8, 3.5, 4.7, 5.3, 10, 1, 8.5, 4, 2.5),
        (6, 1, 10, 4, 5.2, 6.4, 12, 1.6, 10, 5, 3),
        (8, 1.25, 13, 5.3, 6.8, 8.4, 16, 1.6, 13, 6, 4),
        (10, 1.5, 16, 6.4, 8.4, 10.5, 20, 2, 16, 8, 5),
        (12, 1.75, 18, 7.5, 10.8, 13, 24, 2.5, 18, 10, 6),
        (16, 2, 24, 10, 14.8, 17, 30, 3, 24, 14, 8),
        (20, 2.5, 30, 12.5, 18, 21, 37, 3, 30, 17, 10),
        (24, 3, 36, 15, 21.5, 25, 44, 4, 36, 19, 12),
        (30, 3.5, 46, 18.7, 25.6, 31, 56, 4, 45, 22, 15.5),
        (36, 4, 55, 22.5, 31, 37, 66, 5, 54, 27, 19),
    )
}
"""ISO 4014:2011, ISO 4017:2014, ISO 4032:2012, ISO 4762:2004 and ISO 7089:2000, preferred sizes."""


def bolt(thread: Thread = "M8", length: Annotated[float, Length(0.002, 0.5)] = 0.04) -> Body:
    """A hexagon head bolt, standing on its head; ``length`` without the head. Threaded to the head
    as ISO 4017 where ISO 4014 would leave less than five threads of shank."""
    metric = METRIC[thread]
    within("length", length, metric.size * _MM, 12 * metric.size * _MM)
    head = hexagon(metric.flats * _MM, metric.head * _MM, both=False)
    shank = _shank(metric, length, hexagon_thread_length(metric.size, length / _MM) * _MM)
    return (main(head + shank.translate((0, 0, metric.head * _MM)), "steel"),)


def hexagon_thread_length(size: float, length: float) -> float:
    """b of ISO 4014 for a thread ``size`` and a nominal ``length``, in millimetres."""
    return 2 * size + (6 if length <= 125 else 12 if length <= 200 else 25)


def screw(thread: Thread = "M6", length: Annotated[float, Length(0.002, 0.5)] = 0.03) -> Body:
    """A hexagon socket head cap screw, ISO 4762, its head up; ``length`` without the head."""
    metric = METRIC[thread]
    within("length", length, metric.size * _MM, 12 * metric.size * _MM)
    radius, tall = metric.cap / 2 * _MM, metric.size * _MM
    head = turn(
        (0, 0),
        (radius, 0, 0.1 * tall),
        (radius, tall, 0.02 * tall),
        (0, tall),
    )
    deep = metric.deep * _MM
    socket = _hexagon(metric.socket * _MM, deep)
    across = metric.socket / sqrt(3) * _MM
    pit = Manifold.cylinder(across * tan(radians(30)), across, 0, 6).translate((0, 0, deep))
    bevel = Manifold.cylinder(0.1 * across, 1.08 * across, across * 0.93, 48)
    knurled = (
        head
        - _knurl(radius, 0.16 * tall, 0.9 * tall)
        - socket
        - (pit ^ _hexagon(metric.socket * _MM, 2 * tall))
        - bevel
    )
    thread_length = (2 * metric.size + 12) * _MM
    whole = knurled + _shank(metric, length, thread_length).translate((0, 0, tall))
    return (main(whole.rotate((180, 0, 0)).translate((0, 0, tall + length)), "iron"),)


def _knurl(radius: float, low: float, high: float) -> Manifold:
    """Grooves around a head, to hold it by."""
    count = 48
    groove = cylinder(0.028 * radius, high - low, 8).translate((1.006 * radius, 0, low))
    return Manifold.compose([groove.rotate((0, 0, 360 * at / count)) for at in range(count)])


def nut(thread: Thread = "M8") -> Body:
    """A hexagon nut, ISO 4032."""
    metric = METRIC[thread]
    tall = metric.nut * _MM
    size, pitch = metric.size * _MM, metric.pitch * _MM
    hole = _threaded(size, pitch, -2 * pitch, tall + 2 * pitch)
    sink = Manifold.cylinder(0.54 * size, 0.54 * size, 0, 64)
    ends = [sink, sink.mirror((0, 0, 1)).translate((0, 0, tall))]
    return (main(hexagon(metric.flats * _MM, tall, both=True) - hole - ends[0] - ends[1], "steel"),)


def washer(thread: Thread = "M8") -> Body:
    """A plain washer, ISO 7089."""
    metric = METRIC[thread]
    inner, outer, tall = (0.5 * _MM * metric.hole, 0.5 * _MM * metric.disc, metric.sheet * _MM)
    soft = 0.18 * tall
    profile = ((inner, 0), (outer, 0, soft), (outer, tall, soft), (inner, tall))
    return (main(turn(*profile, segments=128), "steel"),)


def hexagon(flats: float, tall: float, *, both: bool) -> Manifold:
    """A hexagon head, its corners chamfered at 30° below, or on both ends."""
    corner = flats / sqrt(3)
    rise = (corner - 0.475 * flats) * tan(radians(30))
    profile = [(0, 0), (0.475 * flats, 0), (corner * 1.01, rise * 1.06)]
    if both:
        profile += [(corner * 1.01, tall - rise * 1.06), (0.475 * flats, tall), (0, tall)]
    else:
        profile += [(corner * 1.01, tall), (0, tall)]
    return _hexagon(flats, tall) ^ turn(*profile, segments=96)


def _hexagon(flats: float, tall: float) -> Manifold:
    return Manifold.extrude(section(circle(flats / sqrt(3), 6, 30)), tall)


def _shank(metric: Metric, length: float, thread_length: float) -> Manifold:
    """From z = 0 up, its far end chamfered to the thread's core."""
    size, pitch = metric.size * _MM, metric.pitch * _MM
    plain = length - thread_length
    low = plain if plain > 5 * pitch else 0.0
    core = size / 2 - 0.65 * pitch
    limit = turn(
        (0, -0.05 * size),
        (size / 2 * 1.001, -0.05 * size),
        (size / 2 * 1.001, length - (size / 2 - core)),
        (core, length),
        (0, length),
    )
    rod = _threaded(size, pitch, low - 2 * pitch, length + 2 * pitch) ^ limit
    if low == 0.0:
        return rod
    stem = turn(
        (0, -0.05 * size),
        (size / 2, -0.05 * size),
        (size / 2, low),
        (core, low + (size / 2 - core)),
        (0, low + (size / 2 - core)),
    )
    return rod.trim_by_plane((0, 0, 1), low - 0.2 * pitch) + stem


def _threaded(size: float, pitch: float, low: float, high: float) -> Manifold:
    """A threaded rod around the z axis from about ``low`` to ``high``: the basic profile of
    ISO 68-1 (crest P/8, root P/4, depth 5/8 H), right-handed."""
    outer = size / 2
    inner = outer - 5 / 8 * sqrt(3) / 2 * pitch
    share = np.array([0, 1 / 8, 1 / 8 + 5 / 16, 3 / 8 + 5 / 16]) + 1 / 16
    reach = np.array([outer, outer, inner, inner])
    turns = int(np.ceil((high - low) / pitch)) + 1
    levels = (np.arange(turns)[:, None] + share).ravel() * pitch + low
    radii = np.tile(reach, turns)
    angle = np.arange(_COLUMNS) / _COLUMNS
    z = levels[None] + angle[:, None] * pitch
    x, y = (radii * f(2 * pi * angle)[:, None] for f in (np.cos, np.sin))
    return from_mesh(*_helix(np.stack([x, y, z], -1), len(share)))


def _helix(grid: Field, per_turn: int) -> tuple[Field, Indices]:
    """The closed surface over ``grid`` ``(columns, rows, 3)``: walls between neighbouring columns,
    of which the last meets the first ``per_turn`` rows higher, and a fan from the axis over either
    end."""
    columns, rows = len(grid), len(grid[0])
    index = numbered(columns, rows)
    low, high = columns * rows, columns * rows + 1
    lower = np.concatenate([index[:, 0], index[0, per_turn:0:-1]])
    upper = np.concatenate([index[:, -1], index[-1, rows - 2 : rows - 2 - per_turn : -1]])
    faces = [
        _strip(index[:-1], index[1:]),
        _strip(index[-1:, :-per_turn], index[:1, per_turn:]),
        np.column_stack([np.roll(lower, -1), lower, np.full(len(lower), low)]),
        np.column_stack([upper, np.roll(upper, -1), np.full(len(upper), high)]),
    ]
    ends = [[0, 0, grid[..., 2].min()], [0, 0, grid[..., 2].max()]]
    return np.concatenate([grid.reshape(-1, 3), ends]), np.concatenate(faces)


def _strip(left: Indices, right: Indices) -> Indices:
    a, b, c, d = left[:, :-1], right[:, :-1], right[:, 1:], left[:, 1:]
    halves = [np.stack([a, b, c], -1), np.stack([a, c, d], -1)]
    return np.concatenate([half.reshape(-1, 3) for half in halves])
