"""Hexagonal layers of spheres, cut by the tube: the densest that spheres can lie, but for the wall.

Lengths are in particle diameters.
"""

import numpy as np

from usina.apps.cfd.packing.order import Stacking
from usina.imaging.array import Field

LAYER = float(np.sqrt(2 / 3))
"""How far apart layers are."""


def stack(radius: float, count: int | None, height: float, stacking: Stacking) -> Field:
    """``(n, 3)`` centres: as many as lie below ``height``, or ``count`` of them, layer by layer and
    in the last one from the middle. A sphere of the first layer lies on the axis.

    ``hcp`` repeats every second layer, ``fcc`` every third.
    """
    turn = 2 if stacking == "hcp" else 3
    layers = [_layer(radius, place / np.sqrt(3)) for place in range(turn)]
    placed: list[Field] = []
    total, up = 0, 0
    while (height - 1 - up * LAYER) > -1e-9 and (count is None or total < count):
        flat = layers[up % turn]
        if count is not None:
            flat = flat[: count - total]
        placed.append(np.column_stack([flat, np.full(len(flat), 0.5 + up * LAYER)]))
        total, up = total + len(flat), up + 1
    return np.concatenate(placed) if placed else np.empty((0, 3))


def _layer(radius: float, aside: float) -> Field:
    """``(m, 2)``: one layer, moved ``aside`` into a hollow of the first, from the middle out."""
    reach = int(np.ceil(radius)) * 2 + 2
    i, j = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
    places = np.column_stack([(i + j / 2).ravel(), (j * np.sqrt(3) / 2).ravel() + aside])
    away = np.hypot(places[:, 0], places[:, 1])
    inside = away <= radius - 0.5 + 1e-9
    places, away = places[inside], away[inside]
    order = np.lexsort((places[:, 0], places[:, 1], np.round(away, 9)))
    return places[order]
