"""What a picture shows: particles on a grid whose cells know who reaches into them, and the eye."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from usina.imaging.array import Field

Vector: TypeAlias = tuple[float, float, float]

SPHERE, CUBE, CYLINDER, RING = 0, 1, 2, 3


class Scene(NamedTuple):
    """Particles of one ``kind``: ``centres`` ``(n, 3)``, ``turns`` ``(n, 3, 3)`` from their own
    axes, ``light`` ``(n, 3)`` what they give back of each colour. ``size`` is half the (outer)
    diameter or edge, half the length, half the bore, and the radius of the ball around; ``ball`` is
    the radius of the ball of equal volume. The grid: its ``corner``, its cells' ``width``, how many
    along each axis, where each cell's list begins in ``members``."""

    kind: int
    centres: Field
    turns: Field
    light: Field
    size: Field
    ball: float
    corner: Field
    width: float
    cells: NDArray[np.int64]
    begin: NDArray[np.int32]
    members: NDArray[np.int32]


class View(NamedTuple):
    """``eye``; the picture's axes ``right``, ``up``, ``ahead``; ``focal`` in picture heights;
    ``sun``, the direction to a lamp that is ``wide`` across, and ``side`` and ``over`` across that
    direction; the tube's inner and outer radius and its height. Lengths are those of the scene."""

    eye: Vector
    right: Vector
    up: Vector
    ahead: Vector
    focal: float
    sun: Vector
    side: Vector
    over: Vector
    wide: float
    inner: float
    outer: float
    height: float


def build(kind: int, centres: Field, turns: Field, light: Field, size: Field, ball: float) -> Scene:
    """The scene with its grid."""
    reach = float(size[3])
    low = centres.min(axis=0) - 1.001 * reach
    high = centres.max(axis=0) + 1.001 * reach
    width = 2.0 * reach
    while np.prod(np.ceil((high - low) / width)) > 1_000_000:
        width *= 1.3
    count = np.maximum(1, np.ceil((high - low) / width)).astype(np.int64)
    first = np.clip(((centres - reach - low) / width).astype(np.int64), 0, count - 1)
    last = np.clip(((centres + reach - low) / width).astype(np.int64), 0, count - 1)
    begin, members = _listed(first, last, count)
    return Scene(kind, centres, turns, light, size, ball, low, width, count, begin, members)


def _listed(
    first: NDArray[np.int64], last: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Who reaches into which cell: each at most two along each axis."""
    steps = [np.array([i >> 2 & 1, i >> 1 & 1, i & 1]) for i in range(8)]
    who = np.arange(len(first))
    cells: list[NDArray[np.int64]] = []
    names: list[NDArray[np.int64]] = []
    for step in steps:
        inside = (first + step <= last).all(axis=1)
        place = (first + step)[inside]
        cells.append((place[:, 0] * count[1] + place[:, 1]) * count[2] + place[:, 2])
        names.append(who[inside])
    cell, name = np.concatenate(cells), np.concatenate(names)
    order = np.lexsort((name, cell))
    begin = np.searchsorted(cell[order], np.arange(int(np.prod(count)) + 1))
    return begin.astype(np.int32), name[order].astype(np.int32)
