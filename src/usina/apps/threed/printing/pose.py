"""How a surface lies on a printer's bed."""

from typing import Literal, TypeAlias

import numpy as np

from usina.apps.threed.mesh import Mesh, merged
from usina.apps.threed.painted import Painted
from usina.apps.threed.surface import Surface

Pose: TypeAlias = Literal["standing", "lying"]
"""On its ground as in the model file, or on its back with its front upwards."""

MILLIMETRES = 1000.0

_TURNS = {
    "standing": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "lying": np.eye(3),
}


def on_bed(surface: Surface | Painted, pose: Pose) -> Mesh:
    """The surface in millimetres, z up, centred over the origin of the bed and touching it; its
    seams closed."""
    points = surface.points @ _TURNS[pose] * MILLIMETRES
    low, high = points.min(axis=0), points.max(axis=0)
    points = points - np.append((low + high)[:2] / 2, low[2])
    return merged(points.astype(np.float32).astype(np.float64), surface.faces)
