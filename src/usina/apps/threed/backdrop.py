"""What a surface stands on and in front of: an endless light table with its shadow."""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.array import Field
from usina.apps.threed.camera import Camera
from usina.apps.threed.interpolate import grid_points
from usina.apps.threed.light import DepthMap, Sky, disc
from usina.apps.threed.opencv import blur
from usina.apps.threed.shade import sample, to_linear

_HIGH, _LOW = np.array([238, 240, 244]), np.array([180, 186, 195])
_CELLS = 96
_REACH = 1.2
_LAMP_SHADE, _SKY_SHADE = 0.42, 0.75
_LAMP_TAPS = disc(24, 14.0)


@dataclass(frozen=True, slots=True)
class Ground:
    """The light of the sky on the table, ``(n, n, 1)`` over a square of side ``2 * reach`` around
    ``centre`` (x and z) at the height ``y``."""

    light: Field
    centre: Field
    reach: float
    y: float


def ground_under(points: Field, sky: Sky) -> Ground:
    low, high = points.min(axis=0), points.max(axis=0)
    reach = _REACH * sky.extent
    centre = ((low + high) / 2)[[0, 2]]
    steps = np.linspace(-reach, reach, _CELLS)
    x, z = grid_points(centre[0] + steps, centre[1] + steps).T
    at = np.column_stack([x, np.full(len(x), low[1]), z])
    light = sky.light(at, np.tile([0.0, 1.0, 0.0], (len(x), 1)), lift=0.002)
    smooth = blur(light.reshape(_CELLS, _CELLS), 1.0)
    return Ground(smooth[..., None], centre, reach, float(low[1]))


def draw_backdrop(camera: Camera, ground: Ground, lamp: DepthMap) -> Field:
    """``(height, width, 3)`` in linear light."""
    height, width = camera.height, camera.width
    down = np.linspace(0, 1, height)[:, None, None]
    across = np.linspace(-1, 1, width)[None, :, None]
    tone = (_HIGH * (1 - down) + _LOW * down) * (1 - 0.06 * across**2)
    light = to_linear(np.rint(tone).astype(np.uint8))
    return light * (1 - _shadow(camera, ground, lamp)[..., None])


def _shadow(camera: Camera, ground: Ground, lamp: DepthMap) -> Field:
    """How dark the table is at every pixel, 0 to 1, fading out before its rim."""
    rays = camera.rays()
    hits = np.flatnonzero(rays[:, 1] < -1e-4)
    far = (ground.y - camera.eye[1]) / rays[hits, 1]
    points = camera.eye + rays[hits] * far[:, None]
    place = (points[:, [0, 2]] - ground.centre) / ground.reach
    near = np.hypot(place[:, 0], place[:, 1]) < 1
    hits, points, place = hits[near], points[near], place[near]
    fade = np.clip(2.2 * (1 - np.hypot(place[:, 0], place[:, 1])), 0, 1)
    behind = 1 - lamp.reaches(points, 0.0, _LAMP_TAPS)
    covered = 1 - sample(ground.light, place * 0.5 + 0.5)[:, 0]
    dark = np.zeros(camera.height * camera.width)
    dark[hits] = fade * (1 - (1 - _LAMP_SHADE * behind) * (1 - _SKY_SHADE * covered))
    return blur(dark.reshape(camera.height, camera.width), 1.2)
