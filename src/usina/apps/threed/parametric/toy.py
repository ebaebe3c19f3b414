"""What is played with, or put on a shelf."""

from math import pi
from typing import Annotated

import numpy as np
from manifold3d import Manifold

from usina.apps.threed.parametric.body import Body, main, standing, trim, union
from usina.apps.threed.parametric.measure import Count, Length, within
from usina.apps.threed.parametric.shape import (
    around,
    ball,
    box,
    circle,
    curve,
    cylinder,
    lathe,
    loft,
    sized,
    sweep,
    turn,
)
from usina.apps.threed.parametric.solid import section
from usina.imaging.array import Field


def house(
    width: Annotated[float, Length(0.02, 20.0)] = 0.1,
    depth: Annotated[float, Length(0.02, 20.0)] = 0.12,
    height: Annotated[float, Length(0.02, 20.0)] = 0.11,
) -> Body:
    """``width`` and ``depth`` of the walls, ``height`` to the top of the chimney; the roof
    overhangs."""
    within("depth", depth, 0.4 * width, 4 * width)
    within("height", height, 0.4 * width, 3 * width)
    walls, roof = _walls_and_roof(width, depth, height)
    front, proud = -depth / 2, 0.02 * depth
    door = box(0.2 * width, 2 * proud, 0.36 * height).translate((0, front, 0))
    attic = cylinder(0.07 * width, 2 * proud, 48).rotate((90, 0, 0))
    panes, frames = _windows(width, depth, height, 2 * proud)
    brick = 0.13 * width
    chimney = box(brick, brick, 0.35 * height).translate((0, 0, 0.63 * height))
    cap = box(1.3 * brick, 1.3 * brick, 0.03 * height).translate((0, 0, 0.97 * height))
    handle = ball(0.016 * width, 16).translate((0.06 * width, front - proud, 0.18 * height))
    return (
        main(walls, "concrete", "cream"),
        trim(roof, "clay"),
        trim(door, "wood", "brown"),
        trim(panes + attic.translate((0, front + proud, 0.66 * height)), "glass", "light blue"),
        trim(frames, "wood", "white"),
        trim((chimney + cap).translate((-0.25 * width, 0.1 * depth, 0)), "clay", "dark red"),
        trim(handle, "brass"),
    )


def _walls_and_roof(width: float, depth: float, height: float) -> tuple[Manifold, Manifold]:
    eaves, ridge, thick, out = 0.52 * height, 0.92 * height, 0.06 * height, 0.08 * width
    half = width / 2
    slope = (ridge - thick - eaves) / half
    low = eaves - slope * out
    into = thick / 2
    gable = [(-half, 0), (half, 0), (half, eaves + into), (0, ridge - into), (-half, eaves + into)]
    roof = [
        (0, ridge),
        (-half - out, low + thick),
        (-half - out, low),
        (0, ridge - thick),
        (half + out, low),
        (half + out, low + thick),
    ]
    return _upright(np.array(gable), depth), _upright(np.array(roof), depth + 2 * out)


def _windows(width: float, depth: float, height: float, deep: float) -> tuple[Manifold, Manifold]:
    """Panes and frames: two beside the door, two in each side."""
    pane, frame = _window(0.19 * width, 0.17 * height, deep)
    lift = 0.28 * height
    places = [(0, (x * 0.31 * width, -depth / 2, lift)) for x in (-1, 1)]
    places += [(90, (x * width / 2, y * depth, lift)) for x in (-1, 1) for y in (-0.25, 0.25)]
    return (
        union([pane.rotate((0, 0, turned)).translate(place) for turned, place in places]),
        union([frame.rotate((0, 0, turned)).translate(place) for turned, place in places]),
    )


def _upright(points: Field, deep: float) -> Manifold:
    """An outline of x and z, drawn out along y around the middle."""
    solid = Manifold.extrude(section(points), deep).rotate((90, 0, 0))
    return solid.translate((0, deep / 2, 0))


def _window(wide: float, tall: float, deep: float) -> tuple[Manifold, Manifold]:
    """Its pane and its frame, standing on z = 0."""
    bar = 0.12 * wide
    frame = union(
        [
            box(wide + bar, 1.5 * deep, bar),
            box(wide + bar, 1.5 * deep, bar).translate((0, 0, tall)),
            box(bar, 1.4 * deep, tall + bar),
            *[box(bar, 1.5 * deep, tall + bar).translate((x * wide / 2, 0, 0)) for x in (-1, 1)],
            box(wide, 1.4 * deep, bar).translate((0, 0, tall / 2)),
        ]
    )
    return box(wide, deep, tall).translate((0, 0, bar / 2)), frame


def rocket(
    height: Annotated[float, Length(0.02, 10.0)] = 0.22,
    diameter: Annotated[float, Length(0.005, 4.0)] = 0.07,
    fins: Annotated[int, Count(3, 8)] = 4,
) -> Body:
    """``diameter`` of the hull; the fins reach beyond it."""
    within("diameter", diameter, 0.08 * height, 0.8 * height)
    radius, low, cone = diameter / 2, 0.13 * height, 0.76 * height
    side = curve(
        [
            (0.58 * radius, low),
            (0.86 * radius, 0.28 * height),
            (radius, 0.48 * height),
            (0.88 * radius, 0.70 * height),
            (0.50 * radius, 0.89 * height),
            (0, height),
        ],
        14,
    ).clip(0)
    hull = sized(lathe(np.concatenate([[[0, low]], side])), diameter, diameter)
    nose = hull.trim_by_plane((0, 0, 1), cone).translate((0, 0, -cone))
    nose = nose.scale((1.03, 1.03, 1.02)).translate((0, 0, cone))
    rim, pane = _porthole(0.34 * radius)
    window = (0, -0.96 * float(np.interp(0.62 * height, side[:, 1], side[:, 0])), 0.62 * height)
    nozzle = turn(
        (0, 0.06 * height),
        (0.56 * radius, 0.06 * height, 0.04 * radius),
        (0.4 * radius, low + 0.02 * height),
        (0, low + 0.02 * height),
        segments=64,
    )
    red = union([nose, *around(_fin(radius, height), fins, 180 / fins + 90)])
    parts = (
        main(hull, "plastic", "white"),
        trim(red, "plastic", "red"),
        trim(rim.translate(window), "steel"),
        trim(pane.translate(window), "glass", "light blue"),
        trim(nozzle, "iron"),
    )
    return standing(parts, height=height)


def _porthole(radius: float) -> tuple[Manifold, Manifold]:
    """Its rim and its pane, looking towards -y."""
    rim = lathe(circle(0.22 * radius, 20) + np.array([radius, 0]), 48).rotate((90, 0, 0))
    return rim, ball(1, 48).scale((radius, 0.4 * radius, radius))


def _fin(radius: float, height: float) -> Manifold:
    """Swept back, towards +x."""
    outside = curve(
        [
            (0.5 * radius, 0.40 * height),
            (1.25 * radius, 0.28 * height),
            (1.75 * radius, 0.10 * height),
            (1.8 * radius, 0.0),
        ],
        8,
    )
    inside = curve(
        [(1.62 * radius, 0.0), (1.3 * radius, 0.10 * height), (0.5 * radius, 0.16 * height)], 8
    )
    return _upright(np.concatenate([outside, inside])[::-1], 0.13 * radius)


def sword(
    length: Annotated[float, Length(0.05, 2.0)] = 0.9,
    width: Annotated[float, Length(0.005, 0.4)] = 0.05,
) -> Body:
    """Stood on its pommel; ``length`` over all, ``width`` of the blade."""
    within("width", width, 0.02 * length, 0.16 * length)
    guard = 0.23 * length
    pommel = ball(1, 48).scale((0.42 * width, 0.34 * width, 0.42 * width))
    jewel = ball(0.15 * width, 32).translate((0, -0.27 * width, 0.42 * width))
    return (
        main(_blade(width, guard, length), "steel"),
        trim(_guard(width, guard) + pommel.translate((0, 0, 0.42 * width)), "gold"),
        trim(_wrapped_grip(0.19 * width, 0.6 * width, guard), "leather"),
        trim(jewel, "glass", "red"),
    )


def _blade(width: float, low: float, high: float) -> Manifold:
    """Two edges and a groove on either side, growing narrower towards its point."""
    half, thick = width / 2, 0.11 * width
    side = [(1.0, 0.0), (0.32, 1.0), (0.14, 0.55), (-0.14, 0.55), (-0.32, 1.0)]
    across = np.array([*side, *[(-x, -y) for x, y in side]])
    rings: list[Field] = []
    for share, narrow in ((0.0, 1.0), (0.42, 0.9), (0.87, 0.72), (1.0, 0.001)):
        flat = across * np.array([half * narrow, thick * min(1, 1.4 * narrow)])
        rings.append(np.column_stack([flat, np.full(len(flat), low + share * (high - low))]))
    return loft(np.array(rings))


def _guard(width: float, z: float) -> Manifold:
    line = curve(
        [
            (-1.9 * width, 0.5 * width),
            (-1.3 * width, 0.06 * width),
            (0, 0),
            (1.3 * width, 0.06 * width),
            (1.9 * width, 0.5 * width),
        ],
        10,
    )
    thick = np.interp(np.linspace(-1, 1, len(line)), [-1, 0, 1], [0.10, 0.24, 0.10]) * width
    path = np.column_stack([line[:, 0], np.zeros(len(line)), z + line[:, 1]])
    end = ball(0.17 * width, 32).translate((1.9 * width, 0, z + 0.5 * width))
    return union([sweep(path, thick, sides=24), end, end.mirror((1, 0, 0))])


def _wrapped_grip(radius: float, low: float, high: float) -> Manifold:
    count = 121
    heights = np.linspace(low, high, count)
    swell = 1 + 0.16 * np.sin(np.linspace(0, pi, count))
    cord = 1 + 0.07 * np.abs(np.sin(np.linspace(0, 11 * pi, count)))
    profile = np.column_stack([radius * swell * cord, heights])
    return lathe(np.concatenate([[[0, low]], profile, [[0, high]]]), 48)


def dice(edge: Annotated[float, Length(0.004, 1.0)] = 0.018) -> Body:
    """Opposite faces make seven; the pips are let in."""
    cube = box(edge, edge, edge, 0.09 * edge).translate((0, 0, -edge / 2)) ^ ball(0.735 * edge, 128)
    pips: list[Manifold] = []
    holes: list[Manifold] = []
    for number, (tilt, spin) in _FACES.items():
        for x, y in _PIPS[number]:
            at = (0.25 * edge * x, 0.25 * edge * y, 0.545 * edge)
            hole, floor, ink = (
                ball(radius * edge, 32).translate(at).rotate((tilt, 0, spin))
                for radius in (0.105, 0.097, 0.125)
            )
            holes.append(hole)
            pips.append(ink - floor)
    paint = union(pips) ^ cube.scale((0.99, 0.99, 0.99))
    lift = (0, 0, edge / 2)
    return (
        main((cube - union(holes)).translate(lift), "plastic", "red"),
        trim(paint.translate(lift), "plastic", "white"),
    )


_FACES = {1: (0, 0), 6: (180, 0), 2: (90, 0), 5: (-90, 0), 3: (90, 90), 4: (90, -90)}
"""How the upper face is turned to become each."""

_PIPS: dict[int, list[tuple[int, int]]] = {
    1: [(0, 0)],
    2: [(-1, -1), (1, 1)],
    3: [(-1, -1), (0, 0), (1, 1)],
    4: [(-1, -1), (1, 1), (-1, 1), (1, -1)],
    5: [(-1, -1), (1, 1), (-1, 1), (1, -1), (0, 0)],
    6: [(-1, -1), (1, 1), (-1, 1), (1, -1), (-1, 0), (1, 0)],
}


def pawn(
    height: Annotated[float, Length(0.01, 1.5)] = 0.05,
    diameter: Annotated[float, Length(0.006, 1.0)] = 0.026,
) -> Body:
    """Of a chess set; ``diameter`` of the foot."""
    radius = diameter / 2
    head = min(0.17 * height, 0.62 * radius)
    neck = height - 1.75 * head
    body = turn(
        (0, 0),
        (radius, 0, 0.05 * radius),
        (radius, 0.08 * height, 0.06 * height),
        (0.86 * radius, 0.12 * height, 0.02 * height),
        (0.86 * radius, 0.17 * height, 0.03 * height),
        (0.62 * radius, 0.21 * height, 0.1 * height),
        (0.32 * radius, neck - 0.04 * height, 0.5 * height),
        (0.56 * radius, neck - 0.02 * height, 0.01 * height),
        (0.56 * radius, neck + 0.015 * height, 0.02 * height),
        (0.3 * radius, neck + 0.05 * height),
        (0, neck + 0.05 * height),
    )
    return (main(body + ball(head, 72).translate((0, 0, height - head)), "wood", "cream"),)
