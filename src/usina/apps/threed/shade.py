"""How a surface looks where it is seen: one soft lamp, a little fill, and the sky."""

import numpy as np

from usina.apps.threed.array import Bytes, Field
from usina.apps.threed.camera import Camera
from usina.apps.threed.interpolate import between_pixels
from usina.apps.threed.light import DepthMap, disc
from usina.apps.threed.mesh import unit
from usina.apps.threed.raster import Fragments
from usina.apps.threed.surface import Surface

_LAMP, _FILL = np.array([1.0, 0.965, 0.91]) * 0.82, np.array([0.86, 0.93, 1.0]) * 0.14
_SKY, _FLOOR = np.array([0.95, 0.98, 1.03]) * 0.6, np.array([0.9, 0.87, 0.84]) * 0.34
_LEAST_SKY = 0.22
_GLOSS, _MIRROR, _SHEEN = 0.06, 0.045, 0.16
_LAMP_TAPS = disc(8, 3.0)
_BIAS, _BIAS_SLOPE = 0.004, 0.008
"""How deep a point may lie in the shadow map and still be lit, as shares of the extent: always,
and where the light grazes, since the map is coarse."""


def lamp_direction(camera: Camera) -> Field:
    """Towards the lamp: over the viewer's left shoulder."""
    right, up, towards = camera.axes
    direction = -0.55 * right + 0.45 * up + 0.6 * towards + np.array([0.0, 0.45, 0.0])
    return direction / np.linalg.norm(direction)


def shade(
    surface: Surface, texture: Field, sky: Field, camera: Camera, seen: Fragments, lamp: DepthMap
) -> Field:
    """Linear light ``(n, 3)`` of every visible pixel; ``texture`` is linear too, ``sky`` ``(n,)``
    the open share of the sky there."""
    extent = float(np.ptp(surface.points, axis=0).max())
    towards = lamp.axes[2]
    points = seen.mix(surface.points, surface.faces)
    normals = unit(seen.mix(surface.normals, surface.faces))
    open_sky = sky[:, None]
    to_eye = unit(camera.eye - points)
    cosine = np.maximum(normals @ towards, 0)
    steepness = np.sqrt(1 - cosine**2) / np.maximum(cosine, 0.2)
    lit = lamp.reaches(points, extent * (_BIAS + _BIAS_SLOPE * steepness), _LAMP_TAPS)
    facing = (cosine * lit)[:, None]
    fill = np.maximum(normals @ unit(camera.axes[0] + 0.3 * camera.axes[2]), 0)[:, None]
    upward = normals[:, 1:2] * 0.5 + 0.5
    ambient = (_SKY * upward + _FLOOR * (1 - upward)) * (_LEAST_SKY + (1 - _LEAST_SKY) * open_sky)
    halfway = np.maximum((normals * unit(to_eye + towards)).sum(axis=1), 0)[:, None]
    grazing = 1 - np.clip((normals * to_eye).sum(axis=1), 0, 1)[:, None]
    mirrored = 2 * (normals * to_eye).sum(axis=1)[:, None] * normals - to_eye
    above = (0.5 + 0.5 * mirrored[:, 1:2]) ** 2 * open_sky
    gloss = _GLOSS * halfway**20 * (facing > 0) + (_MIRROR + _SHEEN * grazing**4) * above
    albedo = sample(texture, seen.mix(surface.uv, surface.faces))
    return albedo * (facing * _LAMP + fill * _FILL + ambient) + gloss * _SKY


def sample(texture: Field, uv: Field) -> Field:
    """The values of ``(h, w, c)`` at ``uv`` ``(n, 2)`` in 0..1 from the upper left."""
    return between_pixels(texture, uv * [texture.shape[1], texture.shape[0]])


def to_linear(pixels: Bytes) -> Field:
    """sRGB bytes to linear light (IEC 61966-2-1)."""
    level = np.arange(256) / 255
    table = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return table[pixels]


def to_srgb(light: Field) -> Field:
    """Linear light to sRGB 0..1, highlights rolled off softly."""
    soft = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), np.maximum(light, 0))
    return np.where(soft <= 0.0031308, 12.92 * soft, 1.055 * soft ** (1 / 2.4) - 0.055)
