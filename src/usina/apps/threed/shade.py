"""How a surface looks where it is seen: one soft lamp, a little fill, and the sky."""

from functools import cache

import numpy as np

from usina.apps.threed.camera import Camera
from usina.apps.threed.light import DepthMap, disc
from usina.imaging.array import Bytes, Field, Field32
from usina.imaging.opencv import look_up

_LAMP, _FILL, _SKY, _FLOOR = np.array(
    [[0.82, 0.79, 0.746], [0.12, 0.13, 0.14], [0.57, 0.588, 0.618], [0.306, 0.296, 0.286]],
    dtype=np.float32,
)
_LEAST_SKY = 0.22
_GLOSS, _MIRROR, _SHEEN = 0.06, 0.045, 0.16
_LAMP_BLUR = 0.0047
"""How far looks towards the lamp are spread, as a share of the extent."""

_BIAS, _TEXEL = 0.004, 1.2
"""How deep a point may lie in the shadow map and still be lit: always, as a share of the extent;
where the light grazes, so many of the map's cells more, and as far as looks are spread."""


def lamp_direction(camera: Camera) -> Field:
    """Towards the lamp: over the viewer's left shoulder."""
    right, up, towards = camera.axes
    direction = -0.55 * right + 0.45 * up + 0.6 * towards + np.array([0.0, 0.45, 0.0])
    return direction / np.linalg.norm(direction)


def shade(
    there: Field32,
    texture: Field32 | None,
    open_sky: Field32,
    eye: Field,
    lamp: DepthMap,
    looks: int,
) -> Field32:
    """Linear light ``(n, 3)`` of visible pixels that show the attributes ``there`` (``(n, 8)``:
    point, normal, uv; without a texture ``(n, 9)``: colour last); ``texture`` is linear too,
    ``open_sky`` ``(n,)`` the open share of the sky,
    ``looks`` how often it is looked for the lamp."""
    points, normals = there[:, :3], unit32(there[:, 3:6])
    towards, open_sky = lamp.axes[2].astype(np.float32), open_sky[:, None]
    to_eye = unit32(eye.astype(np.float32) - points)
    cosine = np.maximum(normals @ towards, 0)
    steepness = np.sqrt(np.maximum(1 - cosine**2, 0)) / np.maximum(cosine, 0.2)
    size = len(lamp.depth)
    bias = (_BIAS + (_LAMP_BLUR + _TEXEL / size) * steepness) * np.float32(size / lamp.scale)
    lit = lamp.reaches(points, bias, _taps(looks) * (_LAMP_BLUR * size))
    facing = (cosine * lit)[:, None]
    fill = np.maximum(normals @ lamp.axes[0].astype(np.float32), 0)[:, None]
    upward = normals[:, 1:2] * 0.5 + 0.5
    ambient = (_SKY * upward + _FLOOR * (1 - upward)) * (_LEAST_SKY + (1 - _LEAST_SKY) * open_sky)
    halfway = np.maximum(np.einsum("ij,ij->i", normals, unit32(to_eye + towards)), 0)[:, None]
    straight = np.einsum("ij,ij->i", normals, to_eye)[:, None]
    grazing = 1 - np.clip(straight, 0, 1)
    above = (0.5 + 0.5 * (2 * straight * normals[:, 1:2] - to_eye[:, 1:2])) ** 2 * open_sky
    gloss = _GLOSS * _sharp(halfway) * (facing > 0) + (_MIRROR + _SHEEN * grazing**4) * above
    albedo = there[:, 6:] if texture is None else sample(texture, there[:, 6:])
    light = albedo * (facing * _LAMP + fill * _FILL + ambient) + gloss * _SKY
    return light.astype(np.float32, copy=False)


def _sharp(values: Field32) -> Field32:
    """To the power of 20."""
    fourth = np.square(np.square(values))
    return np.square(np.square(fourth)) * fourth


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
    return disc(count, 1.0)


def to_linear(pixels: Bytes) -> Field32:
    """sRGB bytes to linear light (IEC 61966-2-1)."""
    level = np.arange(256) / 255
    table = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return table.astype(np.float32)[pixels]


def to_srgb(light: Field32) -> Field32:
    """Linear light to sRGB 0..1, highlights rolled off softly."""
    soft = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), np.maximum(light, 0))
    return np.where(soft <= 0.0031308, 12.92 * soft, 1.055 * soft ** (1 / 2.4) - 0.055)
