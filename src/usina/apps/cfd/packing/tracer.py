"""A ray caster for particles in a glass tube on a table, with soft shadows.

How open the sky is over a point is told by the balls near it, each by the share of the sky that a
ball covers, so it has no noise.
"""

import math
from typing import Final

import numpy as np

from usina.apps.cfd.jit import kernel
from usina.apps.cfd.packing.ray import FAR, dot, meet, normal_of, plus, times, unit, way_to
from usina.apps.cfd.packing.scene import Scene, Vector, View
from usina.imaging.array import Field

LOOKS: Final = 4
"""Looks at a pixel besides the first, where that differs from what is around it. Each asks for the
lamp `_ASKED` times on a particle, and twice as often on the table."""

_ASKED = 2
_EDGE = 0.025
_SKY_REACH = 3.2


@kernel
def trace(scene: Scene, view: View, first_row: int, rows: int, side: int) -> Field:
    """``(rows, side, 3)``: linear light of a band of a square picture; more looks are spent where
    the first ones differ."""
    band = np.zeros((rows, side, 3))
    seen = np.zeros((rows + 2, side + 2, 3))
    for row in range(rows + 2):
        for column in range(side + 2):
            colour = _look(scene, view, column - 1, first_row + row - 1, side, -1)
            seen[row, column, 0], seen[row, column, 1], seen[row, column, 2] = colour
    for row in range(rows):
        for column in range(side):
            red, green, blue = seen[row + 1, column + 1]
            if _differs(seen, row + 1, column + 1):
                for look in range(LOOKS):
                    colour = _look(scene, view, column, first_row + row, side, look)
                    red, green, blue = red + colour[0], green + colour[1], blue + colour[2]
                red, green, blue = red / (LOOKS + 1), green / (LOOKS + 1), blue / (LOOKS + 1)
            band[row, column, 0], band[row, column, 1], band[row, column, 2] = red, green, blue
    return band


@kernel
def _look(scene: Scene, view: View, column: int, row: int, side: int, look: int) -> Vector:
    """At the middle of a pixel, or at one of four places around that."""
    aside, down = 0.0, 0.0
    if look >= 0:  # corners of a square that is turned, so that no two share a row or column
        aside = (0.375, 0.125, -0.375, -0.125)[look]
        down = (0.125, -0.375, -0.125, 0.375)[look]
    x = (column + 0.5 + aside) / side - 0.5
    y = 0.5 - (row + 0.5 + down) / side
    flat = plus(times(view.right, x), times(view.up, y))
    ray = unit(plus(flat, times(view.ahead, view.focal)))
    return _seen(scene, view, ray, _chance(column, row, look))


@kernel
def _differs(seen: Field, row: int, column: int) -> bool:
    """Whether a pixel stands out from one of those around it: an edge, or the rim of a shadow."""
    for down in range(-1, 2):
        for aside in range(-1, 2):
            for part in range(3):
                other = seen[row + down, column + aside, part]
                if abs(seen[row, column, part] - other) > _EDGE:
                    return True
    return False


@kernel
def _seen(scene: Scene, view: View, ray: Vector, chance: float) -> Vector:
    """What comes back along a ray from the eye."""
    away, who = meet(scene, view.eye, ray, False)
    floor = -view.eye[2] / ray[2] if ray[2] < 0 else FAR
    if who >= 0 and away < floor:
        colour = _particle(scene, view, plus(view.eye, times(ray, away)), ray, who, chance)
    elif floor < FAR:
        away = floor
        colour = _table(scene, view, plus(view.eye, times(ray, floor)), ray, chance)
    else:
        colour = _surround(ray)
    return _behind_glass(view, ray, min(away, floor), colour)


@kernel
def _particle(scene: Scene, view: View, at: Vector, ray: Vector, who: int, chance: float) -> Vector:
    normal = normal_of(scene, who, at)
    start = plus(at, times(normal, 1e-4 * scene.ball))
    sky = _open_sky(scene, at, normal, who)
    sky *= 0.75 + 0.25 * min(1.0, at[2] / (2 * scene.ball))
    lit, shine = 0.0, 0.0
    bent = plus(ray, times(normal, -2 * dot(ray, normal)))
    facing = dot(normal, view.sun)
    if facing > -view.wide:
        reached = _reached(scene, view, start, chance, _ASKED)
        lit = max(0.0, facing) * reached
        shine = 0.4 * reached * max(0.0, dot(bent, view.sun)) ** 40
    rim = 0.014 + 0.17 * (1 + dot(ray, normal)) ** 5
    light = 0.95 * lit + sky * (0.53 + 0.25 * normal[2]) + 0.1 * (1 - sky) * sky
    mirrored = times(_surround(bent), rim * sky)
    return (
        scene.light[who, 0] * light + shine + mirrored[0],
        scene.light[who, 1] * light + shine + mirrored[1],
        scene.light[who, 2] * light + shine + mirrored[2],
    )


@kernel
def _table(scene: Scene, view: View, at: Vector, ray: Vector, chance: float) -> Vector:
    """A bright table that goes over into the surround."""
    up = (0.0, 0.0, 1.0)
    lit = _reached(scene, view, plus(at, times(up, 1e-4 * scene.ball)), chance, 2 * _ASKED)
    sky = _open_sky(scene, at, up, -1)
    out = math.sqrt(at[0] * at[0] + at[1] * at[1])
    if view.inner < out < 2.2 * view.outer:
        sky *= 0.82 + 0.18 * min(1.0, (out - view.inner) / (1.2 * view.outer))
    light = 0.42 * lit + 0.5 * sky
    far = min(1.0, max(0.0, (out - 2 * view.outer) / (6 * view.outer + view.height)))
    near = light * (1 - far)
    around = _surround(ray)
    return (
        0.93 * near + far * around[0],
        0.945 * near + far * around[1],
        0.96 * near + far * around[2],
    )


@kernel
def _reached(scene: Scene, view: View, at: Vector, chance: float, asked: int) -> float:
    """The share of the lamp that a point sees."""
    open_share = 0.0
    for ask in range(asked):
        turn = 2 * math.pi * (chance + ask / asked)
        out = view.wide * math.sqrt((chance * 61.803398875 + ask * 0.618033988) % 1.0)
        aside = plus(times(view.side, out * math.cos(turn)), times(view.over, out * math.sin(turn)))
        if meet(scene, at, unit(plus(view.sun, aside)), True)[1] < 0:
            open_share += 1 / asked
    return open_share


@kernel
def _surround(ray: Vector) -> Vector:
    """A bright studio, darker above, with a long lamp on either side for glass to mirror."""
    bright = 0.86 - 0.22 * max(0.0, ray[2])
    if abs(ray[2]) < 0.8:
        turn = math.atan2(ray[1], ray[0])
        lamps = math.exp(-(((turn + 2.5) / 0.16) ** 2)) + 0.6 * math.exp(
            -(((turn - 0.15) / 0.1) ** 2)
        )
        bright += 1.6 * lamps
    return (0.96 * bright, 0.98 * bright, bright)


@kernel
def _behind_glass(view: View, ray: Vector, away: float, colour: Vector) -> Vector:
    """The colour through the walls of the tube that lie before it, the far one first."""
    x, y = view.eye[0], view.eye[1]
    a = ray[0] * ray[0] + ray[1] * ray[1]
    b = x * ray[0] + y * ray[1]
    square = b * b - a * (x * x + y * y - view.outer * view.outer)
    if square > 0:
        root = math.sqrt(square)
        colour = _through(view, ray, (-b + root) / a, away, colour)
        colour = _through(view, ray, (-b - root) / a, away, colour)
    top = (view.height - view.eye[2]) / ray[2] if ray[2] != 0 else -1.0
    if 0 < top < away:
        at = plus(view.eye, times(ray, top))
        out = math.sqrt(at[0] * at[0] + at[1] * at[1])
        if view.inner < out < view.outer:
            colour = plus(times(colour, 0.45), (0.43, 0.485, 0.51))
    return colour


@kernel
def _through(view: View, ray: Vector, there: float, away: float, colour: Vector) -> Vector:
    """The colour through one wall, which a ray meets after ``there``."""
    at = plus(view.eye, times(ray, there))
    if not 0 < there < away or not 0 <= at[2] <= view.height:
        return colour
    normal = (at[0] / view.outer, at[1] / view.outer, 0.0)
    across = dot(normal, ray)
    mirror = 0.035 + 0.75 * (1 - abs(across)) ** 4
    clear = (1 - 0.05 / max(abs(across), 0.12)) * (1 - mirror)
    image = _surround(plus(ray, times(normal, -2 * across)))
    return (
        0.96 * clear * colour[0] + mirror * image[0],
        0.99 * clear * colour[1] + mirror * image[1],
        clear * colour[2] + mirror * image[2],
    )


@kernel
def _open_sky(scene: Scene, at: Vector, normal: Vector, who: int) -> float:
    """The share of the sky over a point that the balls near it leave open."""
    open_share = 1.0
    reach = _SKY_REACH * scene.ball
    own = scene.ball * scene.ball
    low_x, high_x = _near(scene, at[0], reach, 0)
    low_y, high_y = _near(scene, at[1], reach, 1)
    low_z, high_z = _near(scene, at[2], reach, 2)
    for x in range(low_x, high_x):
        for y in range(low_y, high_y):
            for z in range(low_z, high_z):
                cell = (x * scene.cells[1] + y) * scene.cells[2] + z
                for place in range(scene.begin[cell], scene.begin[cell + 1]):
                    one = scene.members[place]
                    way = way_to(at, scene.centres, one)
                    square = dot(way, way)
                    if one != who and square < reach * reach and _lies_in(scene, one, x, y, z):
                        over = max(0.0, dot(way, normal)) / math.sqrt(square)
                        fade = 1 - square / (reach * reach)
                        open_share *= 1 - 0.9 * over * fade * own / max(square, own)
    return open_share


@kernel
def _near(scene: Scene, place: float, reach: float, axis: int) -> tuple[int, int]:
    """The cells along an axis within reach of a place: the first, and the one after the last."""
    low = (place - reach - scene.corner[axis]) / scene.width
    high = (place + reach - scene.corner[axis]) / scene.width
    return max(math.floor(low), 0), min(math.floor(high), scene.cells[axis] - 1) + 1


@kernel
def _lies_in(scene: Scene, one: int, x: int, y: int, z: int) -> bool:
    """Whether this is the cell of its centre: a particle is in the lists of several."""
    return (
        int((scene.centres[one, 0] - scene.corner[0]) / scene.width) == x
        and int((scene.centres[one, 1] - scene.corner[1]) / scene.width) == y
        and int((scene.centres[one, 2] - scene.corner[2]) / scene.width) == z
    )


@kernel
def _chance(column: int, row: int, look: int) -> float:
    """A number below 1 that looks drawn by lot, the same for the same pixel."""
    mixed = np.uint64(column) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= np.uint64(row) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return ((mixed >> np.uint64(11)) * (1.0 / (1 << 53)) + (look + 1) / (LOOKS + 1)) % 1.0
