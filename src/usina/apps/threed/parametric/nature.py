"""What grows, and what melts; trees differ by their seed."""

from math import cos, pi, sin
from typing import Annotated

import numpy as np
from manifold3d import Manifold

from usina.apps.threed.parametric.body import Body, main, standing, trim, union
from usina.apps.threed.parametric.measure import Count, Length, Seed, within
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
from usina.apps.threed.parametric.solid import box_of
from usina.imaging.array import Field


def pine(
    height: Annotated[float, Length(0.02, 30.0)] = 2.4,
    diameter: Annotated[float, Length(0.01, 15.0)] = 1.3,
    tiers: Annotated[int, Count(2, 9)] = 5,
    seed: Seed = 0,
) -> Body:
    """``diameter`` of the widest branches; the seed bends their tips."""
    within("diameter", diameter, 0.15 * height, 1.5 * height)
    chance = np.random.default_rng(seed)
    radius, foot = diameter / 2, 0.14 * height
    step = (height - foot) / (tiers + 0.6)
    skirts: list[Manifold] = []
    for tier in range(tiers):
        share = 1 - tier / (tiers + 0.35)
        low = foot + step * tier
        top = height if tier == tiers - 1 else low + 1.75 * step
        skirts.append(_skirt(radius * share, low, top, chance))
    needles = _fitted(union(skirts), diameter, foot, height)
    trunk = turn(
        (0, 0), (0.13 * radius, 0), (0.09 * radius, foot, radius), (0.05 * radius, 0.6 * height),
        (0, 0.6 * height), segments=32,
    )  # fmt: skip
    return main(needles, "plastic", "dark green"), trim(trunk, "wood", "brown")


def _skirt(radius: float, low: float, top: float, chance: np.random.Generator) -> Manifold:
    """A tier of branches whose tips hang."""
    tips = 11
    count = 6 * tips
    turns = np.arange(count) / count * 2 * pi
    wave = 1 - 0.16 * (0.5 - 0.5 * np.cos(tips * turns + chance.uniform(0, 2 * pi)))
    wave = wave * (1 + 0.05 * np.sin(turns + chance.uniform(0, 2 * pi)))
    tall = top - low
    rings: list[Field] = []
    for share, level in (
        (0.30, 0.14), (0.97, 0.0), (1.0, 0.02), (0.80, 0.13), (0.52, 0.40), (0.22, 0.76),
        (0.03, 1.0),
    ):  # fmt: skip
        edge = 1 + (wave - 1) * min(1, 1.2 * share)
        ring = radius * share * edge[:, None] * np.column_stack([np.cos(turns), np.sin(turns)])
        rings.append(np.column_stack([ring, np.full(count, low + level * tall)]))
    return loft(np.array(rings))


def tree(
    height: Annotated[float, Length(0.02, 30.0)] = 2.6,
    diameter: Annotated[float, Length(0.01, 20.0)] = 1.7,
    seed: Seed = 0,
) -> Body:
    """A round crown of leaves; the seed places its clouds and bends the trunk."""
    within("diameter", diameter, 0.2 * height, 2 * height)
    chance = np.random.default_rng(seed)
    crown = _fitted(_clouds(chance), diameter, 0.38 * height, height)
    wood = _wood(diameter / 2, height, chance)
    return main(crown, "plastic", "green"), trim(wood, "wood", "brown")


def _clouds(chance: np.random.Generator) -> Manifold:
    """Balls in a spiral around a larger one, all within about 1 of the middle."""
    clouds = [ball(0.74, 40)]
    for number in range(11):
        turned = number * 2.399963 + chance.uniform(-0.3, 0.3)
        up = chance.uniform(-0.55, 0.62)
        out = 0.56 * (1 - 0.5 * up**2)
        place = (out * cos(turned), out * sin(turned), 0.8 * up)
        clouds.append(ball(chance.uniform(0.34, 0.46), 40).translate(place))
    return union(clouds)


def _wood(radius: float, height: float, chance: np.random.Generator) -> Manifold:
    """A trunk that leans a little, and three branches into the crown."""
    x, y = chance.uniform(-0.05, 0.05, 2) * radius
    trunk = np.array(
        [
            (0, 0, 0),
            (0.3 * x, 0.3 * y, 0.15 * height),
            (x, y, 0.35 * height),
            (0.4 * x, 0.4 * y, 0.62 * height),
        ]
    )
    branch = np.array(
        [
            (0, 0, 0.28 * height),
            (0.2 * radius, 0, 0.4 * height),
            (0.36 * radius, 0, 0.5 * height),
        ]
    )
    thick = 0.11 * radius
    stem = sweep(trunk, thick * np.array([1.5, 1.0, 0.85, 0.6]), sides=24)
    arm = sweep(branch, thick * np.array([0.6, 0.5, 0.4]), sides=16)
    whole = union([stem, *around(arm, 3, chance.uniform(0, 120))])
    return whole.trim_by_plane((0, 0, 1), 0)


def _fitted(solid: Manifold, wide: float, low: float, high: float) -> Manifold:
    """Stretched to be exactly so wide along x and y, and to reach from ``low`` to ``high``."""
    (x0, y0, z0), (x1, y1, z1) = box_of(solid).tolist()
    moved = solid.translate((-(x0 + x1) / 2, -(y0 + y1) / 2, -z0))
    scale = (wide / (x1 - x0), wide / (y1 - y0), (high - low) / (z1 - z0))
    return moved.scale(scale).translate((0, 0, low))


def snowman(height: Annotated[float, Length(0.03, 4.0)] = 1.5) -> Body:
    """``height`` to the top of his hat."""
    big, middle, head = 0.25 * height, 0.185 * height, 0.135 * height
    chest, face = 0.46 * height, 0.70 * height
    snow = union(
        [
            ball(big, 80).translate((0, 0, 0.86 * big)),
            ball(middle, 72).translate((0, 0, chest)),
            ball(head, 64).translate((0, 0, face)),
        ]
    ).trim_by_plane((0, 0, 1), 0)
    coal = [
        ball(0.014 * height, 24).translate((x * head, -y * head, face + z * head))
        for x, y, z in _face()
    ]
    coal += [
        ball(0.017 * height, 24).translate((0, -middle * cos(at), chest + middle * sin(at)))
        for at in (-0.15, 0.3, 0.75)
    ]
    carrot = Manifold.cylinder(0.15 * height, 0.022 * height, 0.003 * height, 32)
    hat, band = _hat(height, face + 0.78 * head)
    scarf = _scarf(height).translate((0, 0, face - 0.86 * head))
    return (
        main(snow, "plastic", "white"),
        trim(union(coal), "stone", "black"),
        trim(carrot.rotate((90, 0, 0)).translate((0, -0.9 * head, face)), "plastic", "orange"),
        trim(hat, "fabric", "black"),
        trim(band + scarf, "fabric", "red"),
        trim(_arms(height, middle).translate((0, 0, chest)), "wood", "brown"),
    )


def _hat(height: float, brim: float) -> tuple[Manifold, Manifold]:
    """Its felt and its band."""
    felt = turn(
        (0, brim),
        (0.13 * height, brim, 0.006 * height),
        (0.13 * height, brim + 0.018 * height, 0.006 * height),
        (0.085 * height, brim + 0.018 * height, 0.01 * height),
        (0.092 * height, height, 0.01 * height),
        (0, height),
        segments=64,
    )
    band = cylinder(0.0905 * height, 0.035 * height, 64)
    return felt, band.translate((0, 0, brim + 0.02 * height))


def _scarf(height: float) -> Manifold:
    """Around the neck at z = 0, one end hanging in front."""
    wound = lathe(circle(0.034 * height, 24) + np.array([0.105 * height, 0]), 64)
    end = box(0.07 * height, 0.03 * height, 0.2 * height, 0.014 * height).rotate((12, 0, 8))
    return wound + end.translate((0.07 * height, -0.139 * height, -0.154 * height))


def _arms(height: float, middle: float) -> Manifold:
    """Two sticks that branch, around z = 0."""
    arm = np.array(
        [
            (0.8 * middle, 0, 0),
            (1.5 * middle, -0.02 * height, 0.06 * height),
            (2.1 * middle, -0.03 * height, 0.16 * height),
        ]
    )
    twig = np.array(
        [
            (1.62 * middle, -0.022 * height, 0.078 * height),
            (1.95 * middle, -0.03 * height, 0.075 * height),
        ]
    )
    thick = np.array([0.012, 0.011, 0.008]) * height
    stick = sweep(arm, thick, sides=16) + sweep(twig, 0.007 * height, sides=12)
    return stick + stick.mirror((1, 0, 0))


def _face() -> list[tuple[float, float, float]]:
    """Eyes and a smile, on a ball of radius 1."""
    rows = [(-0.33, 0.28), (0.33, 0.28)]
    rows += [(0.5 * sin(t), -0.12 - 0.36 * cos(t)) for t in (-0.9, -0.45, 0, 0.45, 0.9)]
    return [(x, (1 - x * x - z * z) ** 0.5, z) for x, z in rows]


def mushroom(
    height: Annotated[float, Length(0.01, 2.0)] = 0.12,
    diameter: Annotated[float, Length(0.01, 2.0)] = 0.11,
) -> Body:
    """A fly agaric; ``diameter`` of its cap."""
    within("diameter", diameter, 0.3 * height, 3 * height)
    radius = diameter / 2
    rim = 0.52 * height
    cap = lathe(
        np.concatenate(
            [
                [[0, rim + 0.10 * height], [0.5 * radius, rim + 0.06 * height]],
                curve(
                    [
                        (0.94 * radius, rim), (radius, rim + 0.05 * height),
                        (0.86 * radius, rim + 0.26 * height), (0.5 * radius, rim + 0.43 * height),
                        (0, height),
                    ]
                ).clip(0),
            ]
        )
    )  # fmt: skip
    stem = turn(
        (0, 0), (0.34 * radius, 0, 0.12 * radius), (0.36 * radius, 0.12 * height, 0.5 * height),
        (0.22 * radius, 0.36 * height, 0.3 * height), (0.25 * radius, rim + 0.12 * height),
        (0, rim + 0.12 * height), segments=64,
    )  # fmt: skip
    skirt = turn(
        (0.2 * radius, 0.47 * height), (0.42 * radius, 0.38 * height, 0.01 * height),
        (0.40 * radius, 0.36 * height, 0.01 * height), (0.2 * radius, 0.42 * height), segments=64,
    )  # fmt: skip
    parts = (
        main(sized(cap, diameter, diameter), "plastic", "red"),
        trim(stem + skirt, "plastic", "cream"),
        trim(_warts(radius, rim, height), "plastic", "white"),
    )
    return standing(parts, height=height)


def _warts(radius: float, rim: float, height: float) -> Manifold:
    spots: list[Manifold] = []
    for out, count, size in ((0.0, 1, 0.15), (0.44, 5, 0.13), (0.74, 8, 0.1), (0.9, 10, 0.055)):
        level = rim + (height - rim) * (1 - out**2.3) ** 0.75
        spot = ball(size * radius, 20).scale((1, 1, 0.55)).translate((out * radius, 0, level))
        spots += around(spot, count, 37 * count)
    return union(spots)
