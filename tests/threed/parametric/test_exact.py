"""Objects have the sizes that were asked for: against closed formulas, to the tessellation."""

from math import cos, pi, sin, sqrt
from typing import Any

import pytest

from tests.threed.parametric.build import extent, volume
from usina.apps.threed.parametric.shape import SEGMENTS

EXACT = 1e-6
"""Relative: what 64-bit solids and their 8 decimals of outlines keep."""

WIDTH, DEPTH, HEIGHT = 0, 1, 2


def polygon(radius: float, sides: int) -> float:
    """The area of a regular polygon inscribed in a circle."""
    return sides / 2 * radius**2 * sin(2 * pi / sides)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("cube", {"edge": 0.03}, 0.03**3),
        ("block", {"width": 0.1, "depth": 0.2, "height": 0.05}, 1e-3),
        ("cylinder", {"diameter": 0.04, "height": 0.1}, polygon(0.02, 128) * 0.1),
        ("cone", {"diameter": 0.04, "height": 0.09}, polygon(0.02, 128) * 0.03),
        ("pyramid", {"width": 0.06, "height": 0.05}, 0.06**2 * 0.05 / 3),
        ("prism", {"diameter": 0.05, "height": 0.02, "sides": 5}, polygon(0.025, 5) * 0.02),
        (
            "pipe",
            {"diameter": 0.04, "length": 0.2, "wall": 0.004},
            (polygon(0.02, 128) - polygon(0.016, 128)) * 0.2,
        ),
    ],
)
def test_plain_solids_have_their_volume(name: str, given: dict[str, Any], expected: float) -> None:
    assert volume(name, **given) == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("sphere", {"diameter": 0.06}, pi * 0.06**3 / 6),
        ("torus", {"diameter": 0.1, "thickness": 0.02}, 2 * pi**2 * 0.04 * 0.01**2),
        ("capsule", {"diameter": 0.03, "height": 0.1}, pi * 0.015**2 * (0.07 + 0.02)),
        ("cylinder", {"diameter": 0.04, "height": 0.1}, pi * 0.02**2 * 0.1),
    ],
)
def test_round_solids_come_near_the_true_volume(
    name: str, given: dict[str, Any], expected: float
) -> None:
    """Within 0.5 % below it, never above: the polygons are inscribed."""
    assert expected * 0.995 <= volume(name, **given) <= expected


def test_a_circle_is_as_good_as_it_is_said_to_be() -> None:
    assert 1 - cos(pi / SEGMENTS) < 0.0006
    assert 1 - polygon(1, SEGMENTS) / pi < 0.0008


@pytest.mark.parametrize(
    ("name", "given", "sides"),
    [
        ("mug", {"height": 0.12, "diameter": 0.07}, {DEPTH: 0.07, HEIGHT: 0.12}),
        ("cup", {"height": 0.07, "diameter": 0.1, "saucer": False}, {DEPTH: 0.1, HEIGHT: 0.07}),
        ("glass", {"height": 0.15, "diameter": 0.07}, {WIDTH: 0.07, DEPTH: 0.07, HEIGHT: 0.15}),
        ("goblet", {"height": 0.2, "diameter": 0.09}, {WIDTH: 0.09, HEIGHT: 0.2}),
        ("bowl", {"height": 0.1, "diameter": 0.2}, {WIDTH: 0.2, DEPTH: 0.2, HEIGHT: 0.1}),
        ("plate", {"height": 0.03, "diameter": 0.3}, {WIDTH: 0.3, HEIGHT: 0.03}),
        ("vase", {"height": 0.3, "diameter": 0.12}, {WIDTH: 0.12, HEIGHT: 0.3}),
        ("bottle", {"height": 0.3, "diameter": 0.08}, {WIDTH: 0.08}),
        ("chair", {"height": 0.9, "width": 0.5}, {WIDTH: 0.5, HEIGHT: 0.9}),
        ("stool", {"height": 0.5, "diameter": 0.3}, {WIDTH: 0.3, HEIGHT: 0.5}),
        ("table", {"height": 0.7, "width": 2.0, "depth": 0.9}, {0: 2.0, 1: 0.9, 2: 0.7}),
        ("table", {"height": 0.7, "width": 2.0, "depth": 0.9, "legs": 3}, {0: 2.0, 1: 0.9, 2: 0.7}),
        ("shelf", {"height": 2.0, "width": 0.9, "depth": 0.3}, {0: 0.9, 1: 0.3, 2: 2.0}),
        ("lamp", {"height": 0.5, "diameter": 0.3}, {WIDTH: 0.3, DEPTH: 0.3, HEIGHT: 0.5}),
        ("stairs", {"height": 1.2, "width": 1.0, "depth": 2.0}, {0: 1.0, 1: 2.0, 2: 1.2}),
        ("pine", {"height": 3.0, "diameter": 1.5}, {WIDTH: 1.5, DEPTH: 1.5, HEIGHT: 3.0}),
        ("tree", {"height": 3.0, "diameter": 2.0}, {WIDTH: 2.0, DEPTH: 2.0, HEIGHT: 3.0}),
        ("snowman", {"height": 1.8}, {HEIGHT: 1.8}),
        ("mushroom", {"height": 0.1, "diameter": 0.09}, {WIDTH: 0.09, HEIGHT: 0.1}),
        ("house", {"width": 4.0, "depth": 5.0, "height": 4.5}, {HEIGHT: 4.5}),
        ("rocket", {"height": 0.3}, {HEIGHT: 0.3}),
        ("heart", {"width": 0.1, "thickness": 0.03}, {WIDTH: 0.1, DEPTH: 0.03}),
        ("star", {"thickness": 0.02}, {DEPTH: 0.02}),
        ("sword", {"length": 1.1}, {HEIGHT: 1.1}),
        ("dice", {"edge": 0.016}, {0: 0.016, 1: 0.016, 2: 0.016}),
        ("pawn", {"height": 0.06, "diameter": 0.03}, {WIDTH: 0.03, HEIGHT: 0.06}),
        ("key", {"length": 0.07}, {WIDTH: 0.07}),
        ("ring", {"diameter": 0.02, "gem": False}, {WIDTH: 0.02, HEIGHT: 0.02}),
        ("spring", {"diameter": 0.03, "length": 0.08}, {0: 0.03, 1: 0.03, 2: 0.08}),
        ("bearing", {}, {WIDTH: 0.022, DEPTH: 0.022, HEIGHT: 0.007}),
        ("knob", {"diameter": 0.04, "height": 0.03}, {WIDTH: 0.04, DEPTH: 0.04, HEIGHT: 0.03}),
        ("hook", {"height": 0.09, "width": 0.03}, {WIDTH: 0.03, HEIGHT: 0.09}),
        ("bracket", {"width": 0.03, "depth": 0.06, "height": 0.05}, {0: 0.03, 1: 0.06, 2: 0.05}),
        ("box", {"width": 0.1, "depth": 0.2, "height": 0.05}, {0: 0.1, 1: 0.2, 2: 0.05}),
        ("phone stand", {"width": 0.08, "height": 0.1, "depth": 0.09}, {0: 0.08, 1: 0.09, 2: 0.1}),
        ("sphere", {"diameter": 0.05}, {0: 0.05, 1: 0.05, 2: 0.05}),
        ("torus", {"diameter": 0.1, "thickness": 0.03}, {0: 0.1, 1: 0.1, 2: 0.03}),
        ("capsule", {"diameter": 0.02, "height": 0.06}, {0: 0.02, 1: 0.02, 2: 0.06}),
        ("sign", {"text": "Hi", "height": 0.05}, {HEIGHT: 0.05}),
    ],
)
def test_sides_are_as_long_as_asked_for(
    name: str, given: dict[str, Any], sides: dict[int, float]
) -> None:
    measured = extent(name, **given)
    for axis, length in sides.items():
        assert measured[axis] == pytest.approx(length, rel=1e-3), "xyz"[axis]


def test_a_box_holds_what_its_walls_leave() -> None:
    """Its corners are rounded, so it holds a little less than a box with sharp ones."""
    solid = volume("box", width=0.1, depth=0.08, height=0.05, wall=0.003)
    sharp = 0.1 * 0.08 * 0.05 - 0.094 * 0.074 * (0.05 - 1.2 * 0.003)
    assert solid == pytest.approx(sharp, rel=0.05)


def test_a_lid_closes_its_box_at_the_height_asked_for() -> None:
    without_grip = extent("box with lid", height=0.05)[HEIGHT] - 0.1 * 0.06 * 1.6
    assert without_grip == pytest.approx(0.05, rel=1e-3)


def test_a_star_fits_its_circle() -> None:
    wide, _, tall = extent("star", diameter=0.1, points=5)
    assert wide == pytest.approx(0.1 * sin(2 * pi / 5), rel=1e-6)
    assert tall == pytest.approx(0.05 * (1 + cos(pi / 5)), rel=1e-6)


def test_a_hexagonal_prism_has_its_corners_on_the_circle() -> None:
    wide, deep, _ = extent("prism", diameter=0.06, sides=6)
    assert (wide, deep) == pytest.approx((0.03 * sqrt(3), 0.06), rel=1e-6)
