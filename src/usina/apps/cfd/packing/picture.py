"""The picture of a bed: its particles in a glass tube on a bright table."""

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np

from usina.apps.cfd.packing.colour import PALETTE, linear, shades
from usina.apps.cfd.packing.scene import CUBE, CYLINDER, RING, SPHERE, Scene, Vector, View, build
from usina.apps.cfd.packing.tracer import trace
from usina.apps.cfd.particles import Particles
from usina.apps.cfd.porosity import top_of
from usina.imaging.array import Bytes, Field

SIDE: Final = 1000

_FILL: Final = 0.86
_TURN, _PITCH = math.radians(-62), math.radians(17)
_FOCAL = 2.4
_ROWS = 20
_WALL = 1.035
_KINDS = {"sphere": SPHERE, "cube": CUBE, "cylinder": CYLINDER}


def draw(
    particles: Particles,
    diameter_m: float,
    height_m: float,
    between: Callable[[float], None] = lambda share: None,
    *,
    side: int = SIDE,
    threads: int = 1,
) -> Bytes:
    """``(side, side, 3)``. ``between`` is told the share that is drawn, and may raise to stop."""
    scene = _scene(particles)
    view = _view(diameter_m / 2, _shown(particles, diameter_m, height_m))
    with ThreadPoolExecutor(threads) as pool:
        tasks = [
            pool.submit(trace, scene, view, row, min(_ROWS, side - row), side)
            for row in range(0, side, _ROWS)
        ]
        try:
            bands = [_waited(task, place / len(tasks), between) for place, task in enumerate(tasks)]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return _to_srgb(np.concatenate(bands))


def _waited(task: Future[Field], share: float, between: Callable[[float], None]) -> Field:
    between(share)
    return task.result()


def _scene(particles: Particles) -> Scene:
    shape = particles.shape
    half, long, bore = shape.diameter_m / 2, shape.length_m / 2, shape.inner_diameter_m / 2
    light = np.array([linear(colour) for colour in PALETTE])[shades(particles)]
    return build(
        _KINDS.get(shape.kind, RING),
        np.ascontiguousarray(particles.centres),
        np.ascontiguousarray(particles.rotations()),
        light,
        np.array([half, long, bore, shape.reach_m]),
        shape.equivalent_diameter_m / 2,
    )


def _shown(particles: Particles, diameter_m: float, height_m: float) -> float:
    """The height of tube that is drawn: no more than lets the bed be seen."""
    top = top_of(particles)
    return min(height_m, max(1.3 * top, top + 0.6 * diameter_m))


def _view(radius: float, height: float) -> View:
    """From a little above, as near as shows the whole tube."""
    outer = radius * _WALL
    forward = np.array(
        [
            math.cos(_PITCH) * math.cos(_TURN + math.pi),
            math.cos(_PITCH) * math.sin(_TURN + math.pi),
            -math.sin(_PITCH),
        ]
    )
    right = np.array([forward[1], -forward[0], 0.0]) / math.hypot(forward[0], forward[1])
    up = np.cross(right, forward)
    turn = np.linspace(0, 2 * np.pi, 64)
    rim = np.column_stack([outer * np.cos(turn), outer * np.sin(turn)])
    edges = np.concatenate(
        [np.column_stack([rim, np.full(64, level)]) for level in (0.0, height)]
    ) - [0.0, 0.0, height / 2]
    across, over, deep = edges @ right, edges @ up, edges @ forward
    # Seen from so far away that each edge point lies within the share of the picture to be filled.
    away = float((_FOCAL * np.maximum(np.abs(across), np.abs(over)) / (_FILL / 2) - deep).max())
    eye = np.array([0.0, 0.0, height / 2]) - away * forward
    sun = -forward * 0.55 + right * -0.75 + np.array([0.0, 0.0, 1.0])
    sun /= np.linalg.norm(sun)
    side = np.cross(sun, right)
    side /= np.linalg.norm(side)
    return View(
        eye=_vector(eye),
        right=_vector(right),
        up=_vector(up),
        ahead=_vector(forward),
        focal=_FOCAL,
        sun=_vector(sun),
        side=_vector(side),
        over=_vector(np.cross(sun, side)),
        wide=0.16,
        inner=radius,
        outer=outer,
        height=height,
    )


def _vector(values: Field) -> Vector:
    x, y, z = values.tolist()
    return x, y, z


def _to_srgb(light: Field) -> Bytes:
    """8 bits of each colour, what is too bright rolled off."""
    soft = np.where(light < 0.7, light, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)))
    level = np.where(
        soft <= 0.0031308, 12.92 * soft, 1.055 * np.maximum(soft, 1e-9) ** (1 / 2.4) - 0.055
    )
    return (np.clip(level, 0, 1) * 255 + 0.5).astype(np.uint8)
