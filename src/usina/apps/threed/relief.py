"""A picture as a plaque whose front rises with its lightness.

Lightness is not height, so it is made to behave like it: its broad steps are smoothed along the
picture's own edges and pressed together, its fine ones are kept, as on a coin.
"""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.array import Bits, Bytes, Field
from usina.apps.threed.inflate import inflate
from usina.apps.threed.interpolate import between_pixels, between_points
from usina.apps.threed.mesh import Mesh, close_front, decimate_open, face_normals
from usina.apps.threed.opencv import blur, guided_filter, to_lab
from usina.apps.threed.sheet import boundary, fill_rectangle

_REDUNDANCY = 5
_FINEST, _COARSEST = 1.0, 8.0
_RIM_SHARE = 6.0
"""How many triangles are taken to be made for each edge of the rim."""

_BEVEL = 0.4
_FADE, _EDGE_HEIGHT = 0.03, 0.3
_FINE_LIMIT = 0.1
_FRAME_HEIGHT = 0.8
_DOME = 0.6
_FLAT = 0.06


@dataclass(frozen=True, slots=True)
class Plaque:
    """``height`` ``(h, w)`` is how far the front stands over the back at every pixel of the
    working picture with its frame around it; ``frame`` is the frame's width; all in pixels."""

    height: Field
    frame: int

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.height.shape[1], self.height.shape[0]

    def mesh(self, faces: int) -> Mesh:
        """Closed, its back flat at z = 0, of about ``faces`` triangles."""
        rows, columns = self.height.shape
        by_area = np.sqrt(2 * rows * columns / (_REDUNDANCY * faces))
        by_rim = _RIM_SHARE * 2 * (rows + columns) / faces
        step = float(np.clip(by_area, _FINEST, _COARSEST))
        sheet = fill_rectangle(columns, rows, max(step, by_rim))
        flat = sheet.points * np.array([1.0, -1.0])
        front = Mesh(
            np.column_stack([flat, between_pixels(self.height, sheet.points)]), sheet.faces
        )
        simple = decimate_open(front, max(faces - 3 * len(sheet.rim), len(sheet.rim)))
        return close_front(simple, boundary(simple.faces))

    def corner_normals(self, mesh: Mesh) -> Field:
        """``(m, 3, 3)``: on the front those of the fine surface, elsewhere flat."""
        normals = np.repeat(face_normals(mesh)[:, None, :], 3, axis=1)
        down, right = np.gradient(self.height)
        flat = mesh.points[:, :2] * np.array([1.0, -1.0])
        slope = (-between_pixels(right, flat), between_pixels(down, flat), np.ones(len(flat)))
        front = self.is_front(mesh)
        normals[front] = np.column_stack(slope)[mesh.faces[front]]
        return normals

    def is_front(self, mesh: Mesh) -> Bits:
        """Which triangles show the picture: all but those of the walls and of the back."""
        return face_normals(mesh)[:, 2] > 0.02


def carve(
    rgb: Bytes,
    inside: Field | None,
    *,
    depth: float,
    base: float,
    frame: float,
    detail: float,
    smoothing: float,
    invert: bool,
) -> Plaque:
    """Carve a working picture; with ``inside``, only what that covers stands out of the ground.
    ``depth``, ``base`` (thickness at the lowest point) and ``frame`` are shares of the plaque's
    long side; ``detail`` and ``smoothing`` go from 0 to 1."""
    light = to_lab(rgb)[..., 0] / 100
    if invert:
        light = 1 - light
    height = _as_height(rgb, light, detail, smoothing)
    if inside is not None:
        height = _raise(height, inside)
    longest = max(height.shape) / (1 - 2 * frame)
    margin = round(frame * longest)
    framed = _framed(height, margin) if margin else height
    return Plaque(longest * (base + depth * framed), margin)


def _as_height(rgb: Bytes, light: Field, detail: float, smoothing: float) -> Field:
    """0 to 1."""
    size = max(light.shape)
    clear = guided_filter(rgb, light, 2 + round(6 * smoothing), 1e-4 + 4e-3 * smoothing)
    broad = guided_filter(rgb, light, round(0.03 * size), 0.02)
    fine = _FINE_LIMIT * np.tanh((clear - broad) / _FINE_LIMIT)
    height = 0.75 * broad + (0.2 + 1.8 * detail) * fine
    low, high = np.quantile(height, (0.005, 0.995))
    spread = max(float(high - low), 0.15)
    return blur(np.clip((height - low) / spread, 0, 1), 0.6 + 2.5 * smoothing)


def _raise(height: Field, inside: Field) -> Field:
    """The object as a dome of its own with its relief on it, the rest nearly flat."""
    balloon = inflate(inside, depth=1.0, faces=4000)
    rows, columns = np.indices(height.shape)
    at = np.column_stack([columns.ravel() + 0.5, rows.ravel() + 0.5])
    dome = between_points(balloon.sheet.points, balloon.height[:, None], at).reshape(height.shape)
    dome = blur(dome / max(float(dome.max()), 1e-9), 1.0)
    cover = np.clip(blur(inside, 1.0), 0, 1)
    return cover * (0.15 + _DOME * dome + (0.85 - _DOME) * height) + (1 - cover) * _FLAT * height


def _framed(height: Field, margin: int) -> Field:
    """With a raised frame that slopes down to the picture, and the picture calming down to one
    level towards it."""
    rows, columns = height.shape
    calm = _from_edge(rows, columns) / (_FADE * max(rows, columns))
    calm = np.clip(calm, 0, 1) ** 2 * (3 - 2 * np.clip(calm, 0, 1))
    around = np.pad(
        _EDGE_HEIGHT + (height - _EDGE_HEIGHT) * calm, margin, constant_values=_EDGE_HEIGHT
    )
    slope = np.clip((margin - _from_edge(*around.shape)) / (_BEVEL * margin), 0, 1)
    return around + (_FRAME_HEIGHT - around) * slope


def _from_edge(rows: int, columns: int) -> Field:
    """How far each pixel's centre is from the nearest edge of its picture."""
    y, x = np.indices((rows, columns)) + 0.5
    return np.minimum(np.minimum(x, columns - x), np.minimum(y, rows - y))
