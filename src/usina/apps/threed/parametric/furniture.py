"""What stands in a room."""

from math import cos, radians, sin
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
    lathe,
    loft,
    raised,
    sized,
    sweep,
    turn,
)
from usina.imaging.array import Field


def chair(
    height: Annotated[float, Length(0.2, 2.0)] = 0.88,
    width: Annotated[float, Length(0.15, 1.2)] = 0.44,
    depth: Annotated[float, Length(0.15, 1.2)] = 0.46,
    seat_height: Annotated[float, Length(0.1, 1.0)] = 0.45,
) -> Body:
    """``height`` to the top of the back, ``width`` and ``depth`` of the seat."""
    within("width", width, 0.25 * height, 1.4 * height)
    within("depth", depth, 0.25 * height, 1.4 * height)
    within("seat_height", seat_height, 0.1, 0.8 * height)
    leg = 0.085 * min(width, depth)
    plank = 0.06 * min(width, depth)
    seat = box(width, depth, plank, 0.4 * plank).translate((0, 0, seat_height - plank))
    legs = [
        _leg((x * (width / 2 - leg), y * (depth / 2 - leg)), seat_height - plank / 2, leg)
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    tall = height - seat_height
    lean = 0.12 * tall
    behind = depth / 2 - leg
    posts = [
        sweep(
            np.array(
                [
                    (x * (width / 2 - leg), behind, seat_height - plank),
                    (x * (width / 2 - leg), behind + 0.4 * lean, seat_height + 0.5 * tall),
                    (x * (width / 2 - leg), behind + lean, height - 0.02 * tall),
                ]
            ),
            leg * 0.42,
            sides=24,
        )
        for x in (-1, 1)
    ]
    rails = [
        _curved_rail(width - 1.4 * leg, behind + lean * share, seat_height + tall * share, deep)
        for share, deep in ((0.42, 0.15 * tall), (0.83, 0.32 * tall))
    ]
    frame = union([seat, *legs, *posts, *rails])
    return standing((main(frame, "wood"),), height=height)


def _leg(foot: tuple[float, float], height: float, thick: float) -> Manifold:
    """A leg that grows thinner and stands a little outwards."""
    top = np.array([*foot]) * 0.94
    rings = np.array(
        [
            np.column_stack([circle(radius, 24) + at, np.full(24, level)])
            for at, radius, level in (
                (np.array(foot), 0.29 * thick, 0.0),
                (np.array(foot), 0.31 * thick, 0.01 * height),
                (top, 0.5 * thick, height),
            )
        ]
    )
    return loft(rings)


def _curved_rail(width: float, y: float, z: float, tall: float) -> Manifold:
    """A board of a back, bent around whoever leans on it."""
    turns = np.linspace(-1, 1, 25)
    bend, thick = 0.09 * width, 0.045 * width
    rings: list[Field] = []
    for at in turns:
        half, wide = tall / 2 * (1 - 0.08 * at**2), thick / 2
        soft = 0.8 * wide
        flat = np.array(
            [
                (sx * (wide - soft) + soft * cos(a), sz * (half - soft) + soft * sin(a))
                for sx, sz, first in ((1, 1, 0), (-1, 1, 90), (-1, -1, 180), (1, -1, 270))
                for a in (radians(first + 18 * k) for k in range(6))
            ]
        )
        middle = y + bend * (1 - at**2) - 0.4 * bend
        rings.append(
            np.column_stack(
                [np.full(len(flat), at * width / 2), middle + flat[:, 0], z + flat[:, 1]]
            )
        )
    return loft(np.array(rings))


def stool(
    height: Annotated[float, Length(0.15, 1.2)] = 0.46,
    diameter: Annotated[float, Length(0.1, 0.8)] = 0.34,
    legs: Annotated[int, Count(3, 8)] = 3,
) -> Body:
    """A round stool."""
    radius = diameter / 2
    within("diameter", diameter, 0.25 * height, 2.5 * height)
    thick = min(0.16 * radius, 0.08 * height)
    seat = turn(
        (0, height - thick),
        (radius, height - thick, 0.4 * thick),
        (radius, height, 0.45 * thick),
        (0.5 * radius, height - 0.12 * thick, 4 * radius),
        (0, height - 0.16 * thick),
    )
    leg = _splayed(0.62 * radius, 0.92 * radius, height - thick / 2, 0.075 * radius)
    rung_height = 0.35 * height
    at = 0.92 * radius - 0.30 * radius * rung_height / height
    rung = _ring(at, 0.045 * radius).translate((0, 0, rung_height))
    frame = union([seat, *around(leg, legs, 90), rung])
    return standing((main(frame, "wood"),), height=height)


def _splayed(top: float, foot: float, height: float, thick: float) -> Manifold:
    """A round leg in the plane y = 0, its foot flat on the ground."""
    rings = [
        np.column_stack([circle(radius, 24) + np.array([at, 0]), np.full(24, level)])
        for at, radius, level in ((foot, 0.8 * thick, 0.0), (top, 1.1 * thick, height))
    ]
    return loft(np.array(rings))


def _ring(radius: float, thick: float) -> Manifold:
    return lathe(circle(thick, 24) + np.array([radius, 0]))


def table(
    height: Annotated[float, Length(0.2, 1.5)] = 0.74,
    width: Annotated[float, Length(0.2, 4.0)] = 1.4,
    depth: Annotated[float, Length(0.2, 2.5)] = 0.8,
    legs: Annotated[int, Count(3, 8)] = 4,
) -> Body:
    """Square with four legs, else with its legs evenly around an oval top."""
    short = min(width, depth)
    plank = min(0.05 * short, 0.1 * height)
    leg = min(0.09 * short, 0.14 * height)
    if legs == 4:
        top = box(width, depth, plank, 0.35 * plank)
        places = [
            (x * (width / 2 - 0.75 * leg), y * (depth / 2 - 0.75 * leg))
            for x in (-1, 1)
            for y in (-1, 1)
        ]
        apron = box(width - 2 * leg, depth - 2 * leg, 1.3 * plank) - box(
            width - 2.7 * leg, depth - 2.7 * leg, 3 * plank
        )
    else:
        oval = circle(1, 128) * [width / 2, depth / 2]
        top = raised(oval, plank, 0.35 * plank)
        spots = circle(1, legs, 90 + 180 / legs) * [0.72 * width / 2, 0.72 * depth / 2]
        places = [(x, y) for x, y in spots.tolist()]
        apron = raised(0.6 * oval, plank, 0) - raised(0.52 * oval, plank, 0)
    under = height - plank
    posts = [_tapered((x, y), under + plank / 2, leg) for x, y in places]
    return (
        main(
            union(
                [
                    top.translate((0, 0, under)),
                    apron.translate((0, 0, under - plank)),
                    *posts,
                ]
            ),
            "wood",
        ),
    )


def _tapered(at: tuple[float, float], height: float, thick: float) -> Manifold:
    rings = [
        np.column_stack([_soft_square(side) + at, np.full(24, level)])
        for side, level in (
            (0.56 * thick, 0.0),
            (0.60 * thick, 0.015 * height),
            (thick, 0.88 * height),
            (thick, height),
        )
    ]
    return loft(np.array(rings))


def _soft_square(side: float) -> Field:
    soft = 0.18 * side
    return np.array(
        [
            (x * (side / 2 - soft) + soft * cos(a), y * (side / 2 - soft) + soft * sin(a))
            for x, y, first in ((1, 1, 0), (-1, 1, 90), (-1, -1, 180), (1, -1, 270))
            for a in (radians(first + 18 * k) for k in range(6))
        ]
    )


def shelf(
    height: Annotated[float, Length(0.2, 3.0)] = 1.2,
    width: Annotated[float, Length(0.15, 2.5)] = 0.8,
    depth: Annotated[float, Length(0.08, 0.8)] = 0.28,
    shelves: Annotated[int, Count(1, 10)] = 4,
) -> Body:
    """A bookcase; ``shelves`` are the compartments."""
    board = min(0.024 * max(width, height), 0.18 * height / shelves, 0.2 * width)
    foot = min(0.06 * height, 0.5 * height / shelves)
    sides = [
        box(board, depth, height, 0.15 * board).translate((x * (width - board) / 2, 0, 0))
        for x in (-1, 1)
    ]
    levels = np.linspace(foot, height - board, shelves + 1)
    boards = [
        box(width - board, 0.97 * depth, board, 0.12 * board).translate((0, 0, level))
        for level in levels.tolist()
    ]
    back = box(width - board, 0.4 * board, height - 1.3 * foot).translate(
        (0, depth / 2 - 0.3 * board, foot + 0.2 * foot)
    )
    return (main(union([*sides, *boards, back]), "wood"),)


def lamp(
    height: Annotated[float, Length(0.1, 2.2)] = 0.46,
    diameter: Annotated[float, Length(0.06, 0.8)] = 0.28,
) -> Body:
    """A table lamp; ``diameter`` of its shade."""
    radius = diameter / 2
    within("diameter", diameter, 0.2 * height, 1.2 * height)
    foot = turn(
        (0, 0),
        (0.62 * radius, 0, 0.03 * radius),
        (0.62 * radius, 0.09 * radius, 0.05 * radius),
        (0.08 * radius, 0.16 * radius, 0.3 * radius),
        (0.06 * radius, 0.62 * height),
        (0, 0.62 * height),
    )
    knot = ball(0.15 * radius, 48).translate((0, 0, 0.30 * height))
    low, wall = 0.56 * height, 0.025 * radius
    shade = turn(
        (radius, low, wall / 2),
        (0.62 * radius, height, wall / 2),
        (0.62 * radius - wall, height, wall / 2),
        (radius - wall, low, wall / 2),
    )
    bulb = _bulb(radius, 0.6 * height)
    spokes = union(
        around(box(radius, 0.03 * radius, 0.03 * radius).translate((0.48 * radius, 0, 0)), 3)
    ).translate((0, 0, 0.62 * height + 0.06 * (height - low)))
    reach = lathe(
        np.array(
            [(0, low), (radius - wall / 2, low), (0.62 * radius - wall / 2, height), (0, height)]
        )
    )
    return (
        trim(foot + knot + (spokes ^ reach), "brass"),
        main(sized(shade, diameter, diameter), "fabric", "cream"),
        trim(bulb, "glass", "white"),
    )


def _bulb(radius: float, low: float) -> Manifold:
    top = 1.1 * low
    profile = curve(
        [
            (0, low),
            (0.09 * radius, 1.02 * low),
            (0.1 * radius, top),
            (0.22 * radius, top + 0.32 * radius),
            (0.12 * radius, top + 0.52 * radius),
            (0, top + 0.56 * radius),
        ]
    )
    return lathe(profile.clip(0), 48)


def stairs(
    height: Annotated[float, Length(0.1, 6.0)] = 1.0,
    width: Annotated[float, Length(0.1, 4.0)] = 0.9,
    depth: Annotated[float, Length(0.1, 10.0)] = 1.5,
    steps: Annotated[int, Count(2, 40)] = 6,
) -> Body:
    """Closed steps; ``depth`` is the whole run."""
    within("depth", depth, 0.3 * height, 8 * height)
    within("width", width, 0.1 * height, 10 * height)
    rise, run = height / steps, depth / steps
    tread = 0.16 * rise
    solids: list[Manifold] = []
    boards: list[Manifold] = []
    for number in range(steps):
        y = -depth / 2 + run * number
        solids.append(
            box(width * 0.96, depth - run * number, rise * (number + 1) - tread).translate(
                (0, (y + depth / 2) / 2, 0)
            )
        )
        nose = run * 0.12 if number else 0.0
        board = box(width, run + nose, tread * 1.001, 0.3 * tread)
        boards.append(
            board.translate((0, y + (run - nose) / 2, rise * (number + 1) - tread * 1.001))
        )
    return main(union(solids), "concrete"), trim(union(boards), "wood")
