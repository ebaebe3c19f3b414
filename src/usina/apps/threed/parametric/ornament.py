"""What is given away and worn."""

from math import cos, pi, sin
from typing import Annotated

import numpy as np
from manifold3d import Manifold

from usina.apps.threed.parametric.body import Body, main, standing, trim, union
from usina.apps.threed.parametric.measure import Count, Length, Option, within
from usina.apps.threed.parametric.shape import (
    around,
    ball,
    box,
    circle,
    lathe,
    loft,
    sized,
    sweep,
    turn,
)
from usina.apps.threed.parametric.solid import box_of, from_mesh, hull, polygon_of, section
from usina.imaging.array import Field


def star(
    diameter: Annotated[float, Length(0.005, 2.0)] = 0.09,
    thickness: Annotated[float, Length(0.001, 0.5)] = 0.022,
    points: Annotated[int, Count(3, 24)] = 5,
) -> Body:
    """Faceted like a tin star, standing on two points; ``diameter`` of the circle around it."""
    within("thickness", thickness, 0.001, 0.6 * diameter)
    outer = diameter / 2
    inner = outer * (0.45 if points < 7 else 0.62)
    turns = np.arange(2 * points) * pi / points + pi / 2
    reach = np.where(np.arange(2 * points) % 2 == 0, outer, inner)
    rim = np.column_stack([reach * np.cos(turns), reach * np.sin(turns)])
    edge = 0.06 * thickness
    ring = np.concatenate(
        [np.column_stack([rim, np.full(len(rim), level)]) for level in (-edge, edge)]
    )
    count = len(rim)
    points3 = np.concatenate([ring, [[0, 0, -thickness / 2], [0, 0, thickness / 2]]])
    lower = np.arange(count)
    right = np.roll(lower, -1)
    low_tip, high_tip = np.full(count, 2 * count), np.full(count, 2 * count + 1)
    faces = np.concatenate(
        [
            np.column_stack([right, lower, low_tip]),
            np.column_stack([lower, right, right + count]),
            np.column_stack([lower, right + count, lower + count]),
            np.column_stack([lower + count, right + count, high_tip]),
        ]
    )
    return (main(_standing(from_mesh(points3, faces)), "gold"),)


def _standing(flat: Manifold) -> Manifold:
    """What was drawn lying on its back, upright, its lowest point on the ground."""
    upright = flat.rotate((90, 0, 0))
    return upright.translate((0, 0, -float(box_of(upright)[0, 2])))


def heart(
    width: Annotated[float, Length(0.005, 2.0)] = 0.08,
    thickness: Annotated[float, Length(0.001, 0.8)] = 0.032,
) -> Body:
    """A cushion of a heart, upright."""
    within("thickness", thickness, 0.001, 0.8 * width)
    turns = np.linspace(0, 2 * pi, 160, endpoint=False)
    x = 16 * np.sin(turns) ** 3
    y = 13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns)
    cusp = section(np.column_stack([x, y])[::-1] / 32 * width)
    soft = 0.035 * width
    blunt = cusp.offset(-soft, circular_segments=48).offset(soft, circular_segments=48)
    rim = polygon_of(blunt.simplify(0.0005 * width))
    middle = np.array([0.0, 0.02 * width])
    rings: list[Field] = []
    for lift in np.linspace(-pi / 2 * 0.97, pi / 2 * 0.97, 25):
        share = cos(lift) ** 0.62
        level = thickness / 2 * sin(lift) / sin(pi / 2 * 0.97)
        rings.append(np.column_stack([middle + (rim - middle) * share, np.full(len(rim), level)]))
    solid = sized(_standing(loft(np.array(rings))), width, thickness)
    return (main(solid, "plastic", "red"),)


def key(length: Annotated[float, Length(0.015, 1.0)] = 0.075) -> Body:
    """An old door key, lying."""
    thick = 0.045 * length
    bow = 0.17 * length
    stem = sweep(np.array([(-0.16 * length, 0, 0), (0.5 * length, 0, 0)]), thick, sides=32)
    tip = ball(thick * 1.0, 32).translate((0.5 * length - 0.6 * thick, 0, 0))
    centre = -0.5 * length + bow
    loops = [
        _ring(0.56 * bow, 0.24 * bow).translate(
            (centre + 0.2 * bow + x * 0.42 * bow, y * 0.5 * bow, 0)
        )
        for x, y in ((0.9, 1), (0.9, -1))
    ]
    loops.append(_ring(0.5 * bow, 0.24 * bow).translate((-0.5 * length + 0.74 * bow, 0, 0)))
    collars = [
        lathe(circle(0.5 * thick, 20) + np.array([thick, 0]), 48)
        .rotate((0, 90, 0))
        .translate((x * length, 0, 0))
        for x in (-0.07, -0.03, 0.29)
    ]
    teeth = [
        box(0.05 * length, 0.15 * length, 1.1 * thick, 0.1 * thick).translate(
            (0.345 * length, -0.085 * length, -0.55 * thick)
        ),
        box(0.05 * length, 0.10 * length, 1.1 * thick, 0.1 * thick).translate(
            (0.405 * length, -0.06 * length, -0.55 * thick)
        ),
        box(0.045 * length, 0.15 * length, 1.1 * thick, 0.1 * thick).translate(
            (0.46 * length, -0.085 * length, -0.55 * thick)
        ),
        box(0.13 * length, 0.05 * length, 1.1 * thick, 0.1 * thick).translate(
            (0.40 * length, -0.05 * length, -0.55 * thick)
        ),
    ]
    solid = union([stem, tip, *loops, *collars, *teeth])
    return standing((main(solid, "brass"),), width=length)


def _ring(radius: float, thick: float) -> Manifold:
    return lathe(circle(thick, 24) + np.array([radius, 0]), 64)


def ring(
    diameter: Annotated[float, Length(0.01, 0.2)] = 0.0205,
    width: Annotated[float, Length(0.001, 0.05)] = 0.003,
    gem: Option = True,
) -> Body:
    """For a finger, upright; ``diameter`` outside, ``width`` along the finger."""
    radius = diameter / 2
    thick = min(0.09 * diameter, 1.2 * width)
    within("width", width, 0.05 * diameter, 0.6 * diameter)
    band = turn(
        (radius - thick, -width / 2, 0.3 * thick),
        (radius - 0.25 * thick, -width / 2, 0.5 * width),
        (radius, 0, width),
        (radius - 0.25 * thick, width / 2, 0.5 * width),
        (radius - thick, width / 2, 0.3 * thick),
        segments=128,
    )
    band = band.rotate((90, 0, 0)).translate((0, 0, radius))
    if not gem:
        return standing((main(band, "gold"),), width=diameter, height=diameter)
    size = 0.16 * diameter
    base = diameter + 0.1 * size
    stone = _brilliant(size).translate((0, 0, base + 0.55 * size))
    claw = sweep(
        np.array(
            [
                (0.25 * size, 0, -0.7 * size),
                (0.8 * size, 0, 0.0),
                (0.99 * size, 0, 0.62 * size),
                (0.86 * size, 0, 0.76 * size),
            ]
        ),
        0.12 * size,
        sides=16,
    )
    claws = union([*around(claw, 4, 45), ball(0.12 * size, 16)]).translate((0, 0, base))
    parts = (main(band + claws, "gold"), trim(stone, "glass", "light blue"))
    return standing(parts, width=diameter)


def _brilliant(radius: float) -> Manifold:
    """A cut stone: table, crown, girdle and pavilion."""
    rows = [(0.001, -0.86, 0), (1.0, -0.03, 0), (1.0, 0.03, 0), (0.8, 0.2, 11.25), (0.56, 0.32, 0)]
    rings = [
        np.column_stack([circle(radius * share, 16, spin), np.full(16, radius * level)])
        for share, level, spin in rows
    ]
    return hull(np.concatenate(rings))
