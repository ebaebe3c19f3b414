"""A bed of spheres without a packing program: storeys of seven, one on the axis and six around it,
which touch each other, the floor below and the tube of three diameters."""

import csv
import io
from pathlib import Path

import numpy as np

DIAMETER_M = 0.01
TUBE_M = 0.03
POROSITY = 1 - 7 * (2 / 3) / 9
"""Of the whole bed, exactly: seven spheres in each piece of the tube one diameter high."""


def centres(storeys: int = 15) -> np.ndarray:
    """``(7 * storeys, 3)`` in metres, every second storey turned by half a step."""
    rows = [(0.0, 0.0, level + 0.5) for level in range(storeys)]
    for level in range(storeys):
        for step in range(6):
            angle = (step + level % 2 / 2) * np.pi / 3
            rows.append((np.cos(angle), np.sin(angle), level + 0.5))
    return DIAMETER_M * np.array(rows)


def as_csv(points: np.ndarray, diameter_m: float = DIAMETER_M) -> bytes:
    """With the four columns that spheres need."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("x_m", "y_m", "z_m", "diameter_m"))
    writer.writerows([*map(repr, map(float, point)), repr(diameter_m)] for point in points)
    return text.getvalue().encode()


def write(path: Path, storeys: int = 15) -> None:
    path.write_bytes(as_csv(centres(storeys)))
