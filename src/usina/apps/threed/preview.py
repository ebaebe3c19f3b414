"""Four views of a surface in one picture, without any graphics driver."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from usina.apps.threed.array import Bytes, Field, Indices
from usina.apps.threed.backdrop import Ground, draw_backdrop, ground_under
from usina.apps.threed.camera import Camera, frame
from usina.apps.threed.light import Sky, depth_map, sky_around
from usina.apps.threed.mesh import Mesh, decimate, unit
from usina.apps.threed.opencv import blur, resize, resize_bytes
from usina.apps.threed.raster import rasterise
from usina.apps.threed.shade import lamp_direction, shade, to_linear, to_srgb
from usina.apps.threed.surface import Surface

WIDTH, HEIGHT = 1200, 900
_FILL = 0.8
_SAMPLES = 1.5
_EDGE_SAMPLES = 4
_SHADOW_MAP = 640
_SKY_COARSER = 3
_SHAPE_FACES, _SHAPE_GRID = 12_000, 1000.0
_SHADED_AT_ONCE = 1 << 17
_TEXTURE_SIDE = 2048


@dataclass(frozen=True, slots=True)
class View:
    """Degrees to the right of the front, and above the ground."""

    yaw: float
    pitch: float


@dataclass(frozen=True, slots=True)
class _Panel:
    left: int
    top: int
    width: int
    height: int


_PANELS = (
    _Panel(0, 0, 794, 900),
    _Panel(800, 0, 400, 296),
    _Panel(800, 302, 400, 296),
    _Panel(800, 604, 400, 296),
)
Views: TypeAlias = tuple[View, View, View, View]

ROUND: Views = (View(-30, 12), View(0, 6), View(80, 8), View(148, 14))
"""Views of an object with a back: large from the left; from the front, the side and behind."""

FLAT: Views = (View(-28, 14), View(0, 4), View(40, 10), View(-20, 50))
"""Views of a plaque, whose back has nothing to show."""


def draw_preview(
    surface: Surface,
    views: Views = ROUND,
    *,
    between: Callable[[float], None] = lambda share: None,
) -> Bytes:
    """``(900, 1200, 3)``: the first view large, the others small beside it. Before each view
    ``between`` is called with the share of the work that is done; it may raise to stop it."""
    shape = _shape(surface)
    sky = sky_around(shape.points, shape.faces)
    ground = ground_under(shape.points, sky)
    texture = to_linear(_at_most(surface.texture, _TEXTURE_SIDE))
    sheet = np.ones((HEIGHT, WIDTH, 3))
    for number, (panel, view) in enumerate(zip(_PANELS, views, strict=True)):
        between((number > 0) * 0.4 + 0.2 * number)
        camera = frame(surface.points, view.yaw, view.pitch, panel.width, panel.height, _FILL)
        drawn = _draw(surface, shape, texture, sky, ground, camera)
        sheet[panel.top : panel.top + panel.height, panel.left : panel.left + panel.width] = drawn
    return (np.clip(sheet, 0, 1) * 255 + 0.5).astype(np.uint8)


def _at_most(pixels: Bytes, side: int) -> Bytes:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    return resize_bytes(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def _shape(surface: Surface) -> Mesh:
    """The surface without its seams, and simple enough to cast shadows fast."""
    points, index = np.unique(surface.points, axis=0, return_inverse=True)
    scale = _SHAPE_GRID / float(np.ptp(points, axis=0).max())
    shape = decimate(Mesh(points * scale, index.ravel()[surface.faces]), _SHAPE_FACES)
    return Mesh(shape.points / scale, shape.faces)


def _draw(
    surface: Surface, shape: Mesh, texture: Field, sky: Sky, ground: Ground, camera: Camera
) -> Field:
    lamp = depth_map(shape.points, shape.faces, lamp_direction(camera), _SHADOW_MAP)
    fine = camera.finer(_SAMPLES)
    seen = rasterise(fine.project(surface.points), surface.faces, fine.width, fine.height)
    open_sky = _open_sky(surface, sky, camera, fine).ravel()
    light = np.zeros((fine.height * fine.width, 4), dtype=np.float32)
    light[seen.pixel, 3] = 1
    worn = _as_seen(texture, fine)
    for part in seen.parts(_SHADED_AT_ONCE):
        light[part.pixel, :3] = shade(surface, worn, open_sky[part.pixel], fine, part, lamp)
    mean = resize(light.reshape(fine.height, fine.width, 4), camera.width, camera.height)
    colour = mean[..., :3] / np.maximum(mean[..., 3:], 1e-6)
    cover = _cover(camera.project(shape.points), shape.faces, camera)
    cover = np.where(mean[..., 3] > 0, cover, 0)[..., None]
    behind = draw_backdrop(camera, ground, lamp)
    return to_srgb(colour) * cover + to_srgb(behind) * (1 - cover)


def _as_seen(texture: Field, fine: Camera) -> Field:
    """The texture with no finer grain than the view can show."""
    height, width = texture.shape[:2]
    scale = _FILL * max(fine.width, fine.height) / max(height, width)
    if scale > 0.8:
        return texture
    return resize(texture, max(1, round(width * scale)), max(1, round(height * scale)))


def _open_sky(surface: Surface, sky: Sky, camera: Camera, fine: Camera) -> Field:
    """The open share of the sky over every pixel of ``fine``; it varies slowly, so it is asked
    for at few pixels and blurred between them."""
    coarse = camera.finer(1 / _SKY_COARSER)
    seen = rasterise(
        coarse.project(surface.points), surface.faces, coarse.width, coarse.height
    ).fragments()
    points = seen.mix(surface.points, surface.faces)
    normals = unit(seen.mix(surface.normals, surface.faces))
    known = np.zeros((coarse.height * coarse.width, 2))
    known[seen.pixel, 0] = sky.light(points, normals, lift=0.012)
    known[seen.pixel, 1] = 1
    smooth = blur(known.reshape(coarse.height, coarse.width, 2), 1.0)
    wide = resize(smooth, fine.width, fine.height)
    return np.clip(wide[..., 0] / np.maximum(wide[..., 1], 1e-3), 0, 1)


def _cover(screen: Field, faces: Indices, camera: Camera) -> Field:
    """The share of every pixel that the surface covers, finer than it is shaded: its outline is
    what an eye sees first."""
    width, height = camera.width * _EDGE_SAMPLES, camera.height * _EDGE_SAMPLES
    covered = np.zeros((height, width), dtype=np.uint8)
    corners = np.rint((screen[:, :2] * _EDGE_SAMPLES - 0.5) * 16).astype(np.int32)[faces]
    for corner in corners:
        cv2.fillConvexPoly(covered, corner, 255, lineType=cv2.LINE_8, shift=4)
    return resize(covered / 255, camera.width, camera.height)
