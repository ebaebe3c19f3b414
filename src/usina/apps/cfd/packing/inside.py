"""How deep a point lies in a cube, a cylinder or a ring, and points on their surfaces."""

import numpy as np

from usina.apps.cfd.particles import Shape
from usina.imaging.array import Field

_AROUND, _ALONG = 24, 5


def depth(shape: Shape, points: Field) -> Field:
    """The distance from ``points`` ``(..., 3)`` about the centre to the surface, 0 outside."""
    half = shape.diameter_m / 2
    if shape.kind == "cube":
        return np.maximum(half - np.abs(points).max(axis=-1), 0)
    away = np.hypot(points[..., 0], points[..., 1])
    side = np.minimum(half - away, away - shape.inner_diameter_m / 2)
    if not shape.inner_diameter_m:
        side = half - away
    return np.maximum(np.minimum(side, shape.length_m / 2 - np.abs(points[..., 2])), 0)


def skin(shape: Shape) -> Field:
    """``(p, 3)``: points spread over the surface, its edges and corners among them."""
    if shape.kind == "cube":
        step = np.linspace(-0.5, 0.5, 7)
        x, y, z = (part.ravel() for part in np.meshgrid(step, step, step))
        outside = np.maximum(np.maximum(np.abs(x), np.abs(y)), np.abs(z)) == 0.5
        return shape.diameter_m * np.column_stack([x, y, z])[outside]
    turn = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    inner, outer = shape.inner_diameter_m / 2, shape.diameter_m / 2
    ends = np.linspace(inner, outer, 4)
    heights = np.linspace(-0.5, 0.5, _ALONG) * shape.length_m
    walls = [(radius, height) for radius in {inner, outer} - {0.0} for height in sorted(heights)]
    flats = [(radius, side) for radius in ends for side in (heights[0], heights[-1])]
    rims = [
        np.column_stack(
            [radius * np.cos(turn), radius * np.sin(turn), np.full(_AROUND, float(height))]
        )
        for radius, height in dict.fromkeys([*sorted(walls), *flats])
    ]
    return np.concatenate(rims)
