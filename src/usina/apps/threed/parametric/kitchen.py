"""What stands on a laid table."""

from typing import Annotated

import numpy as np
from manifold3d import Manifold

from usina.apps.threed.parametric.body import Body, main, trim
from usina.apps.threed.parametric.measure import Length, Option, within
from usina.apps.threed.parametric.shape import (
    curve,
    cylinder,
    lathe,
    sized,
    sweep,
    turn,
    vessel,
)


def mug(
    height: Annotated[float, Length(0.03, 0.3)] = 0.095,
    diameter: Annotated[float, Length(0.03, 0.3)] = 0.082,
    wall: Annotated[float, Length(0.001, 0.012)] = 0.004,
    handle: Option = True,
) -> Body:
    """``height`` and ``diameter`` are those of the beaker; the handle reaches beyond it."""
    radius = diameter / 2
    within("wall", wall, 0.001, min(0.012, radius / 3, height / 4))
    beaker, cavity = _beaker(radius, 0.95 * radius, height, wall)
    if handle:
        beaker += _ear(radius, height, min(0.052 * height, 0.16 * radius)) - cavity
    return (main(beaker, "ceramic", "teal"),)


def _beaker(radius: float, foot: float, height: float, wall: float) -> tuple[Manifold, Manifold]:
    """A beaker with a round lip, and what it holds."""
    inner, floor = radius - wall, 1.3 * wall
    body = turn(
        (0, 0),
        (foot, 0, 0.16 * radius),
        (radius, height, wall / 2),
        (inner, height, wall / 2),
        (foot - wall, floor, 0.2 * radius),
        (0, floor),
    )
    body = sized(body, 2 * radius, 2 * radius, height)
    return body, turn((0, floor), (foot - wall, floor), (inner, height), (0, height))


def _ear(radius: float, height: float, thick: float) -> Manifold:
    """A handle like an ear, on the side towards +x."""
    out = min(0.36 * height, 0.8 * radius)
    start = radius - 1.5 * thick
    line = curve(
        [
            (start, 0.79 * height),
            (radius + 0.35 * out, 0.80 * height),
            (radius + 0.84 * out, 0.71 * height),
            (radius + out, 0.53 * height),
            (radius + 0.78 * out, 0.33 * height),
            (radius + 0.3 * out, 0.22 * height),
            (start, 0.2 * height),
        ],
        8,
    )
    return sweep(np.column_stack([line[:, 0], np.zeros(len(line)), line[:, 1]]), thick, flat=1.4)


def cup(
    height: Annotated[float, Length(0.03, 0.2)] = 0.062,
    diameter: Annotated[float, Length(0.03, 0.3)] = 0.09,
    wall: Annotated[float, Length(0.001, 0.01)] = 0.003,
    saucer: Option = True,
) -> Body:
    """A coffee cup; ``height`` and ``diameter`` are its own, without handle and saucer."""
    radius = diameter / 2
    within("wall", wall, 0.001, min(0.01, radius / 8, height / 8))
    side = curve(
        [
            (0.46 * radius, 0),
            (0.50 * radius, 0.06 * height),
            (0.76 * radius, 0.3 * height),
            (0.93 * radius, 0.65 * height),
            (radius, height),
        ]
    )
    bowl = vessel(side, wall, diameter, height)
    cavity = lathe(np.concatenate([[[0, 2 * wall]], side[4:] - [wall, 0], [[0, height]]]))
    ear = _ear(0.9 * radius, height, min(0.06 * height, 0.09 * radius)) - cavity
    china = bowl + ear
    if saucer:
        china = china.translate((0, 0, 0.055 * diameter)) + _saucer(0.85 * diameter, diameter)
    return (main(china, "ceramic"),)


def _saucer(radius: float, cup_diameter: float) -> Manifold:
    thick = 0.045 * cup_diameter
    return turn(
        (0, 0),
        (0.5 * radius, 0, thick),
        (radius, 0.2 * radius, 0.5 * thick),
        (0.985 * radius, 0.2 * radius + 0.8 * thick, 0.5 * thick),
        (0.5 * radius, 1.25 * thick, 3 * thick),
        (0.34 * radius, 1.25 * thick, 2 * thick),
        (0, 1.25 * thick),
    )


def glass(
    height: Annotated[float, Length(0.03, 0.3)] = 0.12,
    diameter: Annotated[float, Length(0.03, 0.2)] = 0.075,
    wall: Annotated[float, Length(0.001, 0.008)] = 0.0022,
) -> Body:
    """A tumbler; ``diameter`` at the lip."""
    radius = diameter / 2
    within("wall", wall, 0.001, min(0.008, radius / 4, height / 5))
    inner, foot = radius - wall, 0.8 * radius
    floor = max(2 * wall, 0.06 * height)
    body = turn(
        (0, 0),
        (foot, 0, 0.1 * radius),
        (radius, height, wall / 2),
        (inner, height, wall / 2),
        (foot - wall, floor, 0.25 * radius),
        (0, floor),
    )
    return (main(sized(body, diameter, diameter, height), "glass"),)


def goblet(
    height: Annotated[float, Length(0.05, 0.4)] = 0.19,
    diameter: Annotated[float, Length(0.03, 0.25)] = 0.085,
) -> Body:
    """A wine glass; ``diameter`` of the bowl where it is widest."""
    radius, stem = diameter / 2, 0.08 * diameter / 2
    silhouette = curve(
        [
            (1.6 * stem, 0.42 * height),
            (0.45 * radius, 0.47 * height),
            (0.88 * radius, 0.58 * height),
            (radius, 0.72 * height),
            (0.92 * radius, 0.88 * height),
            (0.8 * radius, height),
        ]
    )
    lift = 0.42 * height
    bowl = vessel(silhouette - [0, lift], 0.035 * radius, diameter, height - lift)
    bowl = bowl.translate((0, 0, lift))
    foot = turn(
        (0, 0),
        (0.82 * radius, 0, 0.02 * radius),
        (0.82 * radius, 0.04 * radius, 0.02 * radius),
        (stem, 0.14 * radius, radius),
        (stem, 0.44 * height),
        (0, 0.44 * height),
    )
    return (main(bowl + foot, "glass"),)


def bowl(
    diameter: Annotated[float, Length(0.04, 0.6)] = 0.16,
    height: Annotated[float, Length(0.02, 0.4)] = 0.075,
    wall: Annotated[float, Length(0.001, 0.02)] = 0.004,
) -> Body:
    """``diameter`` at the lip."""
    radius = diameter / 2
    within("wall", wall, 0.001, min(0.02, radius / 8, height / 6))
    side = curve(
        [
            (0.42 * radius, 0),
            (0.45 * radius, 0.07 * height),
            (0.70 * radius, 0.25 * height),
            (0.90 * radius, 0.58 * height),
            (radius, height),
        ]
    )
    return (main(vessel(side, wall, diameter, height), "ceramic", "mint"),)


def plate(
    diameter: Annotated[float, Length(0.05, 0.6)] = 0.26,
    height: Annotated[float, Length(0.004, 0.1)] = 0.024,
) -> Body:
    """A dinner plate with a rim."""
    radius = diameter / 2
    within("height", height, 0.03 * radius, 0.6 * radius)
    thick = min(0.25 * height, 0.05 * radius)
    body = turn(
        (0, 0),
        (0.62 * radius, 0, thick),
        (0.66 * radius, 0.1 * height, 2 * thick),
        (radius, height - thick, 0.5 * thick),
        (radius - 0.3 * thick, height, 0.5 * thick),
        (0.7 * radius, 0.34 * height + thick, 4 * thick),
        (0.58 * radius, thick, 4 * thick),
        (0, thick),
    )
    return (main(sized(body, diameter, diameter, height), "ceramic"),)


def vase(
    height: Annotated[float, Length(0.05, 1.0)] = 0.24,
    diameter: Annotated[float, Length(0.03, 0.6)] = 0.13,
    wall: Annotated[float, Length(0.0015, 0.02)] = 0.004,
) -> Body:
    """``diameter`` of the belly."""
    radius = diameter / 2
    within("wall", wall, 0.0015, min(0.02, radius / 8, height / 12))
    side = curve(
        [
            (0.50 * radius, 0),
            (0.56 * radius, 0.03 * height),
            (0.92 * radius, 0.22 * height),
            (radius, 0.38 * height),
            (0.80 * radius, 0.62 * height),
            (0.44 * radius, 0.82 * height),
            (0.44 * radius, 0.92 * height),
            (0.58 * radius, height),
        ]
    )
    return (main(vessel(side, wall, diameter, height), "ceramic", "blue"),)


def bottle(
    height: Annotated[float, Length(0.05, 0.6)] = 0.3,
    diameter: Annotated[float, Length(0.02, 0.3)] = 0.075,
    wall: Annotated[float, Length(0.001, 0.01)] = 0.003,
) -> Body:
    """A wine bottle with its cork; ``height`` is that of the bottle alone."""
    radius, neck = diameter / 2, 0.19 * diameter
    within("wall", wall, 0.001, min(0.01, neck / 2, height / 20))
    within("height", height, 2 * diameter, 8 * diameter)
    shoulder = 0.62 * height
    side = curve(
        [
            (0.90 * radius, 0),
            (0.985 * radius, 0.012 * height),
            (radius, 0.04 * height),
            (radius, 0.3 * height),
            (radius, shoulder - 0.02 * height),
            (0.95 * radius, shoulder + 0.04 * height),
            (0.62 * radius, shoulder + 0.13 * height),
            (1.04 * neck, shoulder + 0.2 * height),
            (0.94 * neck, 0.9 * height),
            (0.94 * neck, height),
        ]
    )
    collar = turn(
        (0.86 * neck, 0.935 * height, 0.004 * height),
        (1.18 * neck, 0.935 * height, 0.006 * height),
        (1.18 * neck, 0.985 * height, 0.006 * height),
        (0.86 * neck, 0.985 * height, 0.004 * height),
    )
    hollow = vessel(side, wall, diameter, height) + collar
    stopper = turn(
        (0, 0.95 * height),
        (0.94 * neck - 0.5 * wall, 0.95 * height),
        (0.9 * neck, 1.03 * height, 0.006 * height),
        (0, 1.03 * height),
        segments=64,
    )
    return main(hollow, "glass", "dark green"), trim(stopper, "wood", "beige")


def candle(
    height: Annotated[float, Length(0.02, 0.5)] = 0.14,
    diameter: Annotated[float, Length(0.015, 0.2)] = 0.05,
) -> Body:
    """On a brass dish; ``height`` and ``diameter`` are those of the wax."""
    radius = diameter / 2
    foot = 0.16 * diameter
    wax = turn(
        (0, foot),
        (radius, foot),
        (radius, foot + height, 0.16 * radius),
        (0.72 * radius, foot + height - 0.04 * diameter, 0.2 * radius),
        (0, foot + height - 0.09 * diameter),
    )
    dish = turn(
        (0, 0),
        (1.3 * radius, 0, 0.1 * radius),
        (1.75 * radius, 0.55 * radius, 0.06 * radius),
        (1.63 * radius, 0.55 * radius, 0.06 * radius),
        (1.25 * radius, 0.34 * radius, 0.1 * radius),
        (0, 0.34 * radius),
    )
    wick_top = foot + height + 0.12 * diameter
    wick = cylinder(0.05 * radius, wick_top - height / 2, 16).translate((0, 0, height / 2))
    flame = lathe(
        curve(
            [
                (0, wick_top - 0.10 * diameter),
                (0.14 * diameter, wick_top + 0.06 * diameter),
                (0.12 * diameter, wick_top + 0.22 * diameter),
                (0.0, wick_top + 0.55 * diameter),
            ]
        ).clip(0),
        48,
    )
    return (
        main(wax, "wax"),
        trim(dish, "brass"),
        trim(wick, "fabric", "black"),
        trim(flame, "wax", "orange"),
    )
