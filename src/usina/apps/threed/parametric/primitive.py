"""The plain solids of geometry: exact to the tessellation, with no rounding."""

from typing import Annotated

import numpy as np
from manifold3d import Manifold

from usina.apps.threed.parametric.body import Body, main
from usina.apps.threed.parametric.measure import Count, Length, within
from usina.apps.threed.parametric.shape import (
    ball,
    box,
    circle,
    cylinder,
    lathe,
)
from usina.apps.threed.parametric.solid import hull, section

LEAST, MOST = 0.001, 10.0

Any = Annotated[float, Length(LEAST, MOST)]


_SLENDER = 200
"""How much longer than wide a solid may be: beyond it, 32 bits no longer hold its roundness."""


def _near(length: str, value: float, other: float) -> None:
    within(length, value, max(LEAST, other / _SLENDER), min(MOST, other * _SLENDER))


def cube(edge: Any = 0.05) -> Body:
    return (main(box(edge, edge, edge), "plastic", "blue"),)


def block(width: Any = 0.08, depth: Any = 0.05, height: Any = 0.03) -> Body:
    """A cuboid."""
    _near("depth", depth, width)
    _near("height", height, width)
    return (main(box(width, depth, height), "plastic", "orange"),)


def sphere(diameter: Any = 0.05) -> Body:
    radius = diameter / 2
    return (main(ball(radius, 128).translate((0, 0, radius)), "plastic", "red"),)


def solid_cylinder(diameter: Any = 0.04, height: Any = 0.06) -> Body:
    _near("height", height, diameter)
    return (main(cylinder(diameter / 2, height, 128), "plastic", "teal"),)


def cone(diameter: Any = 0.05, height: Any = 0.07) -> Body:
    _near("height", height, diameter)
    return (main(Manifold.cylinder(height, diameter / 2, 0, 128), "plastic", "yellow"),)


def torus(diameter: Any = 0.08, thickness: Any = 0.02) -> Body:
    """``diameter`` over all, ``thickness`` that of the tube."""
    within("diameter", diameter, 2.1 * LEAST, MOST)
    within("thickness", thickness, max(LEAST, diameter / _SLENDER), 0.48 * diameter)
    tube = thickness / 2
    profile = circle(tube, 64) + np.array([diameter / 2 - tube, tube])
    return (main(lathe(profile, 128), "plastic", "pink"),)


def pyramid(width: Any = 0.06, height: Any = 0.06) -> Body:
    """On a square base."""
    _near("height", height, width)
    half = width / 2
    corners = [(x, y, 0.0) for x in (-half, half) for y in (-half, half)]
    return (main(hull(np.array([*corners, (0, 0, height)])), "stone", "mustard"),)


def prism(
    diameter: Any = 0.05, height: Any = 0.06, sides: Annotated[int, Count(3, 64)] = 6
) -> Body:
    """On a regular polygon; ``diameter`` over its corners."""
    _near("height", height, diameter)
    base = section(circle(diameter / 2, sides, 90))
    return (main(Manifold.extrude(base, height), "plastic", "violet"),)


def capsule(diameter: Any = 0.03, height: Any = 0.07) -> Body:
    """``height`` over all, the round ends with it."""
    within("diameter", diameter, LEAST, MOST / 1.01)
    within("height", height, 1.001 * diameter, min(MOST, _SLENDER * diameter))
    radius = diameter / 2
    end = ball(radius, 96)
    upper, lower = end.translate((0, 0, height - radius)), end.translate((0, 0, radius))
    return (main(Manifold.batch_hull([lower, upper]), "plastic", "green"),)


def tube(
    diameter: Any = 0.04, length: Any = 0.12, wall: Annotated[float, Length(0.0002, 2.0)] = 0.003
) -> Body:
    """A pipe standing upright; ``diameter`` is the outer one."""
    _near("length", length, diameter)
    within("wall", wall, max(0.0002, diameter / _SLENDER), 0.48 * diameter)
    radius = diameter / 2
    bore = cylinder(radius - wall, 2 * length, 128).translate((0, 0, -length / 2))
    return (main(cylinder(radius, length, 128) - bore, "copper"),)
