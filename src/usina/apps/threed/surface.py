"""A finished surface with its colours, ready to be written or drawn."""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.mesh import Mesh, unit
from usina.imaging.array import Bytes, Field, Indices


@dataclass(frozen=True, slots=True)
class Surface:
    """``points`` ``(v, 3)`` in metres, y up, standing on the ground, the front towards +z;
    ``normals`` ``(v, 3)`` of length 1; ``uv`` ``(v, 2)`` in 0..1 from the upper left corner of
    ``texture`` (``(h, w, 3)``), as glTF counts; ``faces`` ``(f, 3)``, counterclockwise from
    outside. Where shading or texture has a seam, points stand there twice."""

    points: Field
    normals: Field
    uv: Field
    faces: Indices
    texture: Bytes


@dataclass(frozen=True, slots=True)
class Coloured:
    """As `Surface`, but that every point has its own colour: ``colours`` ``(v, 3)``, sRGB."""

    points: Field
    normals: Field
    faces: Indices
    colours: Bytes


def dress(mesh: Mesh, normals: Field, uv: Field, texture: Bytes, size_m: float) -> Surface:
    """Give every corner of ``mesh`` its normal (``(m, 3, 3)``) and place in the texture
    (``(m, 3, 2)``), and the whole its size: ``size_m`` along its longest side. Corners that
    agree become one point."""
    corner = np.concatenate(
        [
            mesh.faces.reshape(-1, 1),
            np.rint(unit(normals).reshape(-1, 3) * 512),
            np.rint(uv.reshape(-1, 2) * 65536),
        ],
        axis=1,
    )
    _, first, index = np.unique(corner, axis=0, return_index=True, return_inverse=True)
    return Surface(
        points=standing(mesh.points, size_m)[mesh.faces.ravel()[first]],
        normals=unit(normals).reshape(-1, 3)[first].astype(np.float32).astype(np.float64),
        uv=np.clip(uv.reshape(-1, 2)[first], 0, 1),
        faces=index.reshape(-1, 3).astype(np.int64),
        texture=texture,
    )


def standing(points: Field, size_m: float) -> Field:
    """In metres, centred over the origin, with the lowest point at y = 0; rounded to what a
    32-bit number holds, so that what is measured is what is written."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high) / 2
    origin = np.array([middle[0], low[1], middle[2]])
    metres = (points - origin) * (size_m / float((high - low).max()))
    return metres.astype(np.float32).astype(np.float64)
