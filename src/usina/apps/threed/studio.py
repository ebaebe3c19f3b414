"""A surface set up to be photographed: what light reaches it, what it stands on, what it wears."""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.backdrop import Ground, draw_backdrop, ground_under
from usina.apps.threed.camera import Camera
from usina.apps.threed.light import DepthMap, Sky, depth_map, sky_around
from usina.apps.threed.mesh import Mesh, decimate, decimate_open, is_watertight, merged
from usina.apps.threed.outline import cover
from usina.apps.threed.raster import Drawing, rasterise
from usina.apps.threed.shade import lamp_direction, shade, to_linear, to_srgb, unit32
from usina.apps.threed.surface import Coloured, Surface
from usina.imaging.array import Bytes, Field32
from usina.imaging.opencv import mean_around, resize_bytes, shrink, stretch

FILL = 0.8
"""The share of the picture that a surface fills."""

_SHAPE_FACES, _SHAPE_SHARE, _SHAPE_GRID = 4000, 4, 1000.0
_SHADED_AT_ONCE = 1 << 17
_TEXTURE_SIDE = 2048
_SKY_LIFT = 0.012
_LAMP_MAP = 0.72


@dataclass(frozen=True, slots=True)
class Care:
    """How finely a photograph is made: pixels shaded for each one shown along a side, looks towards
    the lamp, and how much more coarsely the sky and the table are asked for."""

    samples: float
    looks: int
    sky_coarser: int
    table_coarser: int


FINE = Care(samples=1.35, looks=8, sky_coarser=4, table_coarser=2)
QUICK = Care(samples=1.0, looks=4, sky_coarser=5, table_coarser=4)


@dataclass(frozen=True, slots=True)
class Studio:
    """``attributes`` ``(v, 8)`` are points, normals and uv of the ``surface``, or ``(v, 9)`` with
    the colours in place of the uv; ``shape`` is that without its seams, and simple enough to cast
    shadows fast. Colours and ``texture`` are in linear light; none where points have colours."""

    surface: Surface | Coloured
    attributes: Field32
    shape: Mesh
    sky: Sky
    ground: Ground
    texture: Field32 | None

    def photograph(self, camera: Camera, care: Care) -> Bytes:
        """``(height, width, 3)``."""
        towards = lamp_direction(camera)
        lamp = depth_map(self.shape.points, self.shape.faces, towards, _lamp_map(camera))
        fine = camera if care.samples == 1 else camera.finer(care.samples)
        screen = fine.project(self.surface.points)
        seen = rasterise(screen, self.surface.faces, fine.width, fine.height)
        light = shrink(self._light(seen, fine, lamp, care), camera.width, camera.height)
        fronts = self.surface.faces[seen.front]
        outline = cover(camera.project(self.surface.points), fronts, light[..., 3])
        behind = draw_backdrop(camera, self.ground, lamp, care.table_coarser)
        picture = behind + (_spread(light, outline) - behind) * outline[..., None]
        return (to_srgb(picture.astype(np.float32, copy=False)) * 255 + 0.5).astype(np.uint8)

    def _light(self, seen: Drawing, fine: Camera, lamp: DepthMap, care: Care) -> Field32:
        """``(height, width, 4)``: linear light where the surface is seen, and 1 there."""
        light = np.zeros((fine.height * fine.width, 4), dtype=np.float32)
        light[seen.pixel, 3] = 1
        sky = self._open_sky(seen, fine, care.sky_coarser).ravel()
        worn = None if self.texture is None else _as_seen(self.texture, fine)
        for part in seen.parts(_SHADED_AT_ONCE):
            there = part.mix(self.attributes, self.surface.faces)
            light[part.pixel, :3] = shade(there, worn, sky[part.pixel], fine.eye, lamp, care.looks)
        return light.reshape(fine.height, fine.width, 4)

    def _open_sky(self, seen: Drawing, fine: Camera, coarser: int) -> Field32:
        """The open share of the sky over every pixel of ``fine``; it varies slowly, so it is asked
        for at few pixels and blurred between them."""
        rows, columns = np.divmod(seen.pixel, fine.width)
        asked = np.flatnonzero((rows % coarser == 0) & (columns % coarser == 0))
        there = seen.fragments(asked).mix(self.attributes, self.surface.faces)
        points, normals = there[:, :3], unit32(there[:, 3:6])
        known = np.zeros((-(-fine.height // coarser), -(-fine.width // coarser), 2), np.float32)
        at = rows[asked] // coarser, columns[asked] // coarser
        known[*at, 0] = self.sky.light(points, normals, lift=_SKY_LIFT)
        known[*at, 1] = 1
        wide = stretch(mean_around(known, 5), fine.width, fine.height)
        share = wide[..., 0] / np.maximum(wide[..., 1], np.float32(1e-3))
        return np.clip(share, 0, 1).astype(np.float32, copy=False)


def set_up(surface: Surface | Coloured) -> Studio:
    shape = _shape(surface)
    if isinstance(surface, Coloured):
        worn, texture = to_linear(surface.colours), None
    else:
        worn, texture = surface.uv, to_linear(_at_most(surface.texture, _TEXTURE_SIDE))
    return Studio(
        surface=surface,
        attributes=np.concatenate(
            [surface.points, surface.normals, worn], axis=1, dtype=np.float32
        ),
        shape=shape,
        sky=sky_around(shape.points, shape.faces),
        ground=ground_under(shape),
        texture=texture,
    )


def _lamp_map(camera: Camera) -> int:
    """The side of the lamp's shadow map: no finer than the view can show."""
    return round(_LAMP_MAP * max(camera.width, camera.height))


def _shape(surface: Surface | Coloured) -> Mesh:
    whole = merged(surface.points, surface.faces)
    scale = _SHAPE_GRID / float(np.ptp(whole.points, axis=0).max())
    target = max(_SHAPE_FACES, len(whole.faces) // _SHAPE_SHARE)
    simplified = decimate if is_watertight(whole.faces) else decimate_open
    shape = simplified(Mesh(whole.points * scale, whole.faces), target)
    return Mesh(shape.points / scale, shape.faces)


def _at_most(pixels: Bytes, side: int) -> Bytes:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    return resize_bytes(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def _as_seen(texture: Field32, fine: Camera) -> Field32:
    """The texture with no finer grain than the view can show."""
    height, width = texture.shape[:2]
    scale = FILL * max(fine.width, fine.height) / max(height, width)
    if scale > 0.8:
        return texture
    return shrink(texture, max(1, round(width * scale)), max(1, round(height * scale)))


def _spread(light: Field32, outline: Field32) -> Field32:
    """The colour of every pixel; of those on the ``outline`` that show none, that beside them."""
    bare = (light[..., 3] == 0) & (outline > 0)
    shown = light[..., :3] / np.maximum(light[..., 3:], np.float32(1e-6))
    wide = mean_around(light, 3)[bare]
    shown[bare] = wide[:, :3] / np.maximum(wide[:, 3:], np.float32(1e-6))
    return shown.astype(np.float32, copy=False)
