"""How a surface looks where it is seen: one soft lamp, a little fill, and the sky."""

from functools import cache

import numpy as np

from usina.apps.threed.array import Bytes, Field, Field32
from usina.apps.threed.camera import Camera
from usina.apps.threed.light import DepthMap, disc
from usina.apps.threed.mesh import unit
from usina.apps.threed.opencv import look_up
from usina.apps.threed.raster import Fragments
from usina.apps.threed.surface import Surface

_LAMP, _FILL, _SKY, _FLOOR = np.array(
    [[0.82, 0.79, 0.746], [0.12, 0.13, 0.14], [0.57, 0.588, 0.618], [0.306, 0.296, 0.286]],
    dtype=np.float32,
)
_LEAST_SKY = 0.22
_GLOSS, _MIRROR, _SHEEN = 0.06, 0.045, 0.16
_LAMP_BLUR = 3.0
_BIAS, _BIAS_SLOPE = 0.004, 0.008
"""How deep a point may lie in the shadow map and still be lit, as shares of the extent: always,
and where the light grazes, since the map is coarse."""


def lamp_direction(camera: Camera) -> Field:
    """Towards the lamp: over the viewer's left shoulder."""
    right, up, towards = camera.axes
    direction = -0.55 * right + 0.45 * up + 0.6 * towards + np.array([0.0, 0.45, 0.0])
    return direction / np.linalg.norm(direction)


def shade(
    surface: Surface,
    texture: Field32,
    open_sky: Field32,
    camera: Camera,
    seen: Fragments,
    lamp: DepthMap,
    looks: int,
) -> Field32:
    """Linear light ``(n, 3)`` of every visible pixel; ``texture`` is linear too, ``open_sky``
    ``(n,)`` the open share of the sky there, ``looks`` how often it is looked for the lamp."""
    extent = float(np.ptp(surface.points, axis=0).max())
    towards, open_sky = lamp.axes[2].astype(np.float32), open_sky[:, None]
    points = seen.mix(surface.points, surface.faces)
    normals = unit32(seen.mix(surface.normals, surface.faces))
    to_eye = unit32(camera.eye.astype(np.float32) - points)
    cosine = np.maximum(normals @ towards, 0)
    steepness = np.sqrt(np.maximum(1 - cosine**2, 0)) / np.maximum(cosine, 0.2)
    lit = lamp.reaches(points, extent * (_BIAS + _BIAS_SLOPE * steepness), _taps(looks))
    facing = (cosine * lit)[:, None]
    aside = unit(camera.axes[0] + 0.3 * camera.axes[2]).astype(np.float32)
    fill = np.maximum(normals @ aside, 0)[:, None]
    upward = normals[:, 1:2] * 0.5 + 0.5
    ambient = (_SKY * upward + _FLOOR * (1 - upward)) * (_LEAST_SKY + (1 - _LEAST_SKY) * open_sky)
    halfway = np.maximum(np.einsum("ij,ij->i", normals, unit32(to_eye + towards)), 0)[:, None]
    straight = np.einsum("ij,ij->i", normals, to_eye)[:, None]
    grazing = 1 - np.clip(straight, 0, 1)
    above = (0.5 + 0.5 * (2 * straight * normals[:, 1:2] - to_eye[:, 1:2])) ** 2 * open_sky
    gloss = _GLOSS * halfway**20 * (facing > 0) + (_MIRROR + _SHEEN * grazing**4) * above
    albedo = sample(texture, seen.mix(surface.uv, surface.faces))
    return albedo * (facing * _LAMP + fill * _FILL + ambient) + gloss * _SKY


def sample(texture: Field32, uv: Field32) -> Field32:
    """The values of ``(h, w, c)`` at ``uv`` ``(n, 2)`` in 0..1 from the upper left."""
    height, width = texture.shape[:2]
    return look_up(texture, uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5)


def unit32(vectors: Field32) -> Field32:
    """As `unit`, quickly."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return vectors / np.maximum(length, 1e-12)[:, None]


@cache
def _taps(count: int) -> Field:
    return disc(count, _LAMP_BLUR)


def to_linear(pixels: Bytes) -> Field32:
    """sRGB bytes to linear light (IEC 61966-2-1)."""
    level = np.arange(256) / 255
    table = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return table.astype(np.float32)[pixels]


def to_srgb(light: Field32) -> Field32:
    """Linear light to sRGB 0..1, highlights rolled off softly."""
    soft = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), np.maximum(light, 0))
    return np.where(soft <= 0.0031308, 12.92 * soft, 1.055 * soft ** (1 / 2.4) - 0.055)
