"""What a surface stands on and in front of: an endless light table with its shadow."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from usina.apps.threed.camera import Camera
from usina.apps.threed.light import DepthMap, depth_map, disc
from usina.apps.threed.mesh import Mesh
from usina.apps.threed.shade import sample, to_linear
from usina.imaging.array import Field, Field32
from usina.imaging.opencv import blur, stretch

_HIGH, _LOW = np.array([240, 242, 245]), np.array([186, 191, 199])
_CELLS, _MARGIN = 160, 80
_CONTACTS = ((0.012, 0.009, 0.7), (0.05, 0.035, 0.45), (0.25, 0.11, 0.4))
"""How fast the shadow of what hovers over the table fades with its height, how far it spreads,
both as shares of the width, and how dark it is: sharp and dark right below, wide and pale above."""

_LAMP_SHADE, _END = 0.36, 1.2
_LAMP_TAPS = disc(24, 0.03)


@dataclass(frozen=True, slots=True)
class Ground:
    """The light of the sky on the table, ``(n, n, 1)`` over a square of side ``2 * reach`` around
    ``centre`` (x and z) at the height ``y``; shadows fade out at the distance ``end``."""

    light: Field32
    centre: Field
    reach: float
    y: float
    end: float


def ground_under(shape: Mesh) -> Ground:
    """From how high everything is over the table, seen from below."""
    low, high = shape.points.min(axis=0), shape.points.max(axis=0)
    below = depth_map(shape.points, shape.faces, np.array([0.0, -1.0, 0.0]), _CELLS)
    width = _CELLS / below.scale
    height = np.pad(below.depth[::-1].astype(np.float64), _MARGIN, constant_values=np.inf)
    light = np.ones_like(height)
    for fading, spread, dark in _CONTACTS:
        light *= 1 - dark * blur(np.exp(-height / (fading * width)), spread * _CELLS)
    reach = width * (0.5 + _MARGIN / _CELLS)
    end = _END * float((high - low).max())
    centre = ((low + high) / 2)[[0, 2]]
    return Ground(light[..., None].astype(np.float32), centre, reach, float(low[1]), end)


def draw_backdrop(camera: Camera, ground: Ground, lamp: DepthMap, coarser: int) -> Field32:
    """``(height, width, 3)`` in linear light; shadows are found at every ``coarser`` pixel."""
    shadow = _shadow(camera.finer(1 / coarser), ground, lamp)
    lit = 1 - stretch(shadow[..., None], camera.width, camera.height)
    return _wall(camera.width, camera.height) * lit


@lru_cache(maxsize=4)
def _wall(width: int, height: int) -> Field32:
    """The table and what is behind it without any shadow."""
    down = np.linspace(0, 1, height)[:, None, None]
    across = np.linspace(-1, 1, width)[None, :, None]
    tone = (_HIGH * (1 - down) + _LOW * down) * (1 - 0.06 * across**2)
    return to_linear(np.rint(tone).astype(np.uint8))


def _shadow(camera: Camera, ground: Ground, lamp: DepthMap) -> Field32:
    """How dark the table is at every pixel, 0 to 1, fading out before its rim."""
    rays = camera.rays()
    hits = np.flatnonzero(rays[:, 1] < -1e-4)
    far = (ground.y - camera.eye[1]) / rays[hits, 1]
    points = camera.eye + rays[hits] * far[:, None]
    away = points[:, [0, 2]] - ground.centre
    fade = np.clip(2.2 * (1 - np.hypot(away[:, 0], away[:, 1]) / ground.end), 0, 1)
    near = np.flatnonzero(fade)
    hits, points, fade = hits[near], points[near], fade[near]
    place = (away[near] / ground.reach).astype(np.float32)
    behind = 1 - lamp.reaches(points, 0.0, _LAMP_TAPS * len(lamp.depth))
    lit = sample(ground.light, place * 0.5 + 0.5)[:, 0]
    dark = np.zeros(camera.height * camera.width)
    dark[hits] = fade * (1 - (1 - _LAMP_SHADE * behind) * lit)
    return blur(dark.reshape(camera.height, camera.width), 1.0).astype(np.float32)
