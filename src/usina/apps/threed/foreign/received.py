"""A surface that another program made, before and after it is believed."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from usina.apps.threed.gltf import to_coloured_glb, to_glb
from usina.apps.threed.mesh import Mesh, face_areas, merged, unit
from usina.apps.threed.numeric import pieces
from usina.apps.threed.surface import Coloured, Surface, standing
from usina.apps.threed.texture import encode_jpeg
from usina.imaging.array import Bytes, Field, Indices
from usina_runner import Failure

_PLAIN: Final = 205


@dataclass(frozen=True, slots=True)
class Received:
    """``points`` ``(v, 3)``, y up; ``faces`` ``(f, 3)``; either ``uv`` ``(v, 2)`` from the upper
    left with a ``texture``, or ``colours`` ``(v, 3)`` of 8 bits, or neither; ``normals`` ``(v, 3)``
    where the file has some."""

    points: Field
    faces: Indices
    normals: Field | None = None
    uv: Field | None = None
    texture: Bytes | None = None
    colours: Bytes | None = None

    def turned(self, turn: Field) -> "Received":
        """Every point ``p`` at ``turn @ p``; ``turn`` is a rotation."""
        normals = None if self.normals is None else self.normals @ turn.T
        return replace(self, points=self.points @ turn.T, normals=normals)

    def as_surface(self) -> Surface | Coloured:
        """Standing on the ground, a metre along its longest side."""
        points, normals = standing(self.points, 1.0), self._normals()
        if self.uv is not None and self.texture is not None:
            return Surface(points, normals, self.uv, self.faces, self.texture)
        plain = np.full((len(points), 3), _PLAIN, dtype=np.uint8)
        colours = plain if self.colours is None else self.colours
        return Coloured(points, normals, self.faces, colours)

    def as_textured(self) -> Surface:
        """As `as_surface`, with one plain texture where the file has no picture."""
        surface = self.as_surface()
        if isinstance(surface, Surface):
            return surface
        plain = np.broadcast_to(surface.colours.mean(axis=0), (4, 4, 3)).astype(np.uint8)
        uv = np.full((len(surface.points), 2), 0.5)
        return Surface(surface.points, surface.normals, uv, surface.faces, plain)

    def as_glb(self) -> bytes:
        surface = self.as_surface()
        if isinstance(surface, Coloured):
            return to_coloured_glb(surface, "model")
        return to_glb(surface, encode_jpeg(surface.texture), "model")

    def largest_piece_share(self) -> float:
        """How much of the whole area belongs to the largest piece that hangs together."""
        whole = merged(self.points, self.faces)
        areas = np.bincount(pieces(whole.faces), face_areas(whole))
        return float(areas.max() / max(areas.sum(), 1e-300))

    def _normals(self) -> Field:
        """Those of the file, or where it has none smooth ones."""
        smooth = smooth_normals(self.points, self.faces)
        if self.normals is None:
            return smooth
        told = np.isfinite(self.normals).all(axis=1) & (np.abs(self.normals).sum(axis=1) > 0)
        return unit(np.where(told[:, None], np.nan_to_num(self.normals), smooth))


def smooth_normals(points: Field, faces: Indices) -> Field:
    """``(v, 3)``: the mean of the triangles around each place, by their areas; the upward one
    where there is none."""
    single, index = np.unique(points, axis=0, return_inverse=True)
    corner = points[faces]
    across = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    summed = np.zeros_like(single)
    around = index.ravel()[faces]
    for column in range(3):
        np.add.at(summed, around[:, column], across)
    lost = np.abs(summed).sum(axis=1) < 1e-300
    summed[lost] = (0, 1, 0)
    return unit(summed)[index.ravel()]


def checked(received: Received) -> Received:
    """The same, without what carries no area; raises `Failure` for what is no surface at all."""
    if not len(received.faces) or not len(received.points):
        raise _failed(
            "mesh_empty",
            "The model made a mesh without a single triangle: it saw no object. Try a picture "
            "where the object stands out and fills the frame, or for a prompt more steps.",
        )
    used = received.points[np.unique(received.faces)]
    broken = int((~np.isfinite(used).all(axis=1)).sum())
    if broken:
        raise _failed(
            "mesh_not_finite",
            f"{broken} of {len(used)} points of the mesh are no numbers, so nothing can show it. "
            "Half precision overflowed: try another picture or seed, or another device.",
        )
    points = np.where(np.isfinite(received.points), received.points, 0.0)
    if not float(face_areas(Mesh(points, received.faces)).sum()) > 0:
        raise _failed("mesh_empty", "Every triangle of the mesh is without area: try another seed.")
    return replace(received, points=points)


def unreadable(why: str) -> Failure:
    return _failed("mesh_unreadable", f"The model's file can not be read: {why}.")


def nothing_written(name: str) -> Failure:
    return _failed(
        "mesh_missing",
        f"The model's program ended well but wrote no {name}: is the script the one that its "
        "variable should name, of a version that this platform knows? The log has its words.",
    )


def _failed(reason: str, message: str) -> Failure:
    return Failure("runner_failed", reason, message, retryable=False)
