"""A rectangular plaque with a shaped front, a flat back and, if wanted, a frame around it."""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.interpolate import between_pixels
from usina.apps.threed.mesh import Mesh, decimate_open, face_normals
from usina.apps.threed.sheet import boundary, fill_rectangle
from usina.imaging.array import Bits, Field, Indices

_REDUNDANCY = 5
_FINEST, _COARSEST = 1.0, 8.0
_RIM_SHARE = 6.0
"""How many triangles are taken to be made for each edge of the rim."""

_BEVEL = 0.35
_FRAME_FACES = 22
"""Of the slope's corners, the top, the outside and the back."""


@dataclass(frozen=True, slots=True)
class Frame:
    """``width`` and ``height`` over the back; on the inside it slopes down to the front's rim."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Plaque:
    """``height`` ``(h, w)`` is how far the front stands over the back at every pixel of the
    working picture; with a ``frame`` it is the same all along the picture's edges."""

    height: Field
    frame: Frame | None

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height of the front in pixels."""
        return self.height.shape[1], self.height.shape[0]


@dataclass(frozen=True, slots=True)
class PlaqueMesh:
    """A closed mesh of which the first ``front`` triangles show the picture."""

    mesh: Mesh
    front: int

    def is_front(self) -> Bits:
        return np.arange(len(self.mesh.faces)) < self.front


def build(plaque: Plaque, faces: int) -> PlaqueMesh:
    """Closed, its back flat at z = 0, of about ``faces`` triangles."""
    width, height = plaque.extent
    by_area = np.sqrt(2 * width * height / (_REDUNDANCY * faces))
    by_rim = _RIM_SHARE * 2 * (width + height) / faces
    step = max(float(np.clip(by_area, _FINEST, _COARSEST)), by_rim)
    sheet = fill_rectangle(width, height, step)
    flat = sheet.points * np.array([1.0, -1.0])
    front = Mesh(np.column_stack([flat, between_pixels(plaque.height, sheet.points)]), sheet.faces)
    around = 3 * len(sheet.rim) if plaque.frame is None else len(sheet.rim) + _FRAME_FACES
    front = decimate_open(front, max(faces - around, len(sheet.rim)))
    close = _close if plaque.frame is None else _enclose
    return PlaqueMesh(close(front, boundary(front.faces), plaque), len(front.faces))


def corner_normals(plaque: Plaque, built: PlaqueMesh) -> Field:
    """``(m, 3, 3)``: on the front those of the fine surface, elsewhere flat."""
    mesh = built.mesh
    normals = np.repeat(face_normals(mesh)[:, None, :], 3, axis=1)
    down, right = np.gradient(plaque.height, axis=0), np.gradient(plaque.height, axis=1)
    flat = mesh.points[:, :2] * np.array([1.0, -1.0])
    slope = (-between_pixels(right, flat), between_pixels(down, flat), np.ones(len(flat)))
    normals[: built.front] = np.column_stack(slope)[mesh.faces[: built.front]]
    return normals


def _close(front: Mesh, rim: Indices, plaque: Plaque) -> Mesh:
    """A wall down from the directed ``rim`` (``(k, 2)``), and a fan over the back."""
    count, around = len(front.points), np.unique(rim)
    lower = np.full(count, -1, dtype=np.int64)
    lower[around] = count + np.arange(len(around))
    start, end = rim.T
    middle = np.full(len(rim), count + len(around))
    ground = front.points[around] * np.array([1.0, 1.0, 0.0])
    centre = np.array([[plaque.extent[0] / 2, -plaque.extent[1] / 2, 0.0]])
    faces = (
        front.faces,
        np.column_stack([start, lower[start], lower[end]]),
        np.column_stack([start, lower[end], end]),
        np.column_stack([lower[end], lower[start], middle]),
    )
    return Mesh(np.concatenate([front.points, ground, centre]), np.concatenate(faces))


def _enclose(front: Mesh, rim: Indices, plaque: Plaque) -> Mesh:
    """A frame of flat faces around the directed ``rim``: the slope, the top, the outside, the
    back. Corners count counterclockwise from the lower left, and side k goes from corner k."""
    frame = plaque.frame
    assert frame is not None
    box = np.array(plaque.extent) * np.array([[0, -1], [1, -1], [1, 0], [0, 0]])
    outwards = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    rings = [
        np.column_stack([box + outwards * reach, np.full(4, level)])
        for reach, level in (
            (_BEVEL * frame.width, frame.height),
            (frame.width, frame.height),
            (frame.width, 0.0),
        )
    ]
    first = len(front.points)
    inner, outer, back = first + np.arange(12).reshape(3, 4)
    turned = np.roll(np.arange(4), -1)
    corner = _at(front.points, box)
    side = _sides(front.points, rim, plaque.extent)
    start, end = rim.T
    faces = (
        front.faces,
        np.column_stack([end, start, inner[side]]),
        np.column_stack([corner[turned], inner, inner[turned]]),
        *_strip(inner, outer),
        *_strip(outer, back),
        back[[[0, 3, 2], [0, 2, 1]]],
    )
    return Mesh(np.concatenate([front.points, *rings]), np.concatenate(faces))


def _strip(upper: Indices, lower: Indices) -> tuple[Indices, Indices]:
    """Two triangles a side between two rings of four corners."""
    turned = np.roll(np.arange(4), -1)
    return (
        np.column_stack([upper[turned], upper, lower]),
        np.column_stack([upper[turned], lower, lower[turned]]),
    )


def _at(points: Field, places: Field) -> Indices:
    """Which point stands at each of the ``places`` (``(n, 2)``)."""
    gap = np.abs(points[:, None, :2] - places[None]).sum(axis=2)
    return gap.argmin(axis=0)


def _sides(points: Field, rim: Indices, extent: tuple[int, int]) -> Indices:
    """Which side of the front each edge of its rim lies on: below, right, above or left."""
    middle = points[rim].mean(axis=1)
    x, y = middle[:, 0], middle[:, 1]
    return np.argmin([np.abs(y + extent[1]), np.abs(x - extent[0]), np.abs(y), np.abs(x)], axis=0)
