"""The regular bed of `known.storeys` as the CSV that a caller sends."""

import csv
import io

import numpy as np

from usina.apps.cfd.lattice.known import storeys

DIAMETER_M = 0.01
TUBE_M = 0.03


def centres(count: int = 15) -> np.ndarray:
    """``(7 * count, 3)`` in metres."""
    return storeys(count, DIAMETER_M).centres


def as_csv(points: np.ndarray, diameter_m: float = DIAMETER_M) -> bytes:
    """With the four columns that spheres need."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("x_m", "y_m", "z_m", "diameter_m"))
    writer.writerows([*map(repr, map(float, point)), repr(diameter_m)] for point in points)
    return text.getvalue().encode()
