"""Cells that find who is near: the one in which a place lies, and who is in which.

Lengths are in particle diameters. A cell is at least 1 wide, so what touches a sphere lies in its
own cell or the 26 around it. Places beyond the grid belong to the cells at its rim.
"""

from typing import Final, NamedTuple

import numpy as np

from usina.imaging.array import Field

_MOST_ACROSS: Final = 256


class Grid(NamedTuple):
    """Cells along the axes, from ``-radius`` across and from 0 up, and their widths."""

    across: int
    up: int
    radius: float
    width: float
    height: float


def grid_for(radius: float, height: float, reach: float) -> Grid:
    """Of a tube of an inner ``radius`` and ``height``, for neighbours as far as ``reach``."""
    width = max(reach, 2 * radius / _MOST_ACROSS)
    return Grid(
        across=max(1, int(2 * radius / width)),
        up=max(1, int(height / reach)),
        radius=radius,
        width=2 * radius / max(1, int(2 * radius / width)),
        height=height / max(1, int(height / reach)),
    )


def likely_height(count: int, radius: float) -> float:
    """More than so many spheres of diameter 1 reach in a tube, however loosely they lie."""
    loose = count / 6 / (0.35 * radius**2) + 6
    return min(loose, count + 2.0)


def bottom_up(centres: Field) -> Field:
    """The same, the lowest first: the order in which a load is handed down."""
    return np.ascontiguousarray(centres[np.argsort(centres[:, 2], kind="stable")])
