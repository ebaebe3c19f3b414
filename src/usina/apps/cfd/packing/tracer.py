"""A ray caster for particles in a glass tube on a table, with soft shadows.

What a ray may meet is found by walking the cells of the scene's grid (Amanatides and Woo,
Eurographics 1987). How open the sky is over a point is told by the balls near it, each by the share
of the sky that a ball covers, so it has no noise.

Vectors are tuples, which compiled code keeps in registers.
"""

import math
from typing import Final

import numpy as np

from usina.apps.cfd.jit import kernel
from usina.apps.cfd.packing.scene import CUBE, RING, SPHERE, Scene, Vector, View
from usina.imaging.array import Field

LOOKS: Final = 4
"""Looks at a pixel besides the first, where that differs from what is around it. Each asks for the
lamp `_ASKED` times on a particle, and twice as often on the table."""

_ASKED = 2
_EDGE = 0.025
_FAR = 1e30
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
    flat = _plus(_times(view.right, x), _times(view.up, y))
    ray = _unit(_plus(flat, _times(view.ahead, view.focal)))
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
    away, who = _meet(scene, view.eye, ray, False)
    floor = -view.eye[2] / ray[2] if ray[2] < 0 else _FAR
    if who >= 0 and away < floor:
        colour = _particle(scene, view, _plus(view.eye, _times(ray, away)), ray, who, chance)
    elif floor < _FAR:
        away = floor
        colour = _table(scene, view, _plus(view.eye, _times(ray, floor)), ray, chance)
    else:
        colour = _surround(ray)
    return _behind_glass(view, ray, min(away, floor), colour)


@kernel
def _particle(scene: Scene, view: View, at: Vector, ray: Vector, who: int, chance: float) -> Vector:
    normal = _normal(scene, who, at)
    start = _plus(at, _times(normal, 1e-4 * scene.ball))
    sky = _open_sky(scene, at, normal, who)
    sky *= 0.75 + 0.25 * min(1.0, at[2] / (2 * scene.ball))
    lit, shine = 0.0, 0.0
    bent = _plus(ray, _times(normal, -2 * _dot(ray, normal)))
    facing = _dot(normal, view.sun)
    if facing > -view.wide:
        reached = _reached(scene, view, start, chance, _ASKED)
        lit = max(0.0, facing) * reached
        shine = 0.4 * reached * max(0.0, _dot(bent, view.sun)) ** 40
    rim = 0.014 + 0.17 * (1 + _dot(ray, normal)) ** 5
    light = 0.95 * lit + sky * (0.53 + 0.25 * normal[2]) + 0.1 * (1 - sky) * sky
    mirrored = _times(_surround(bent), rim * sky)
    return (
        scene.light[who, 0] * light + shine + mirrored[0],
        scene.light[who, 1] * light + shine + mirrored[1],
        scene.light[who, 2] * light + shine + mirrored[2],
    )


@kernel
def _table(scene: Scene, view: View, at: Vector, ray: Vector, chance: float) -> Vector:
    """A bright table that goes over into the surround."""
    up = (0.0, 0.0, 1.0)
    lit = _reached(scene, view, _plus(at, _times(up, 1e-4 * scene.ball)), chance, 2 * _ASKED)
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
        aside = _plus(
            _times(view.side, out * math.cos(turn)), _times(view.over, out * math.sin(turn))
        )
        if _meet(scene, at, _unit(_plus(view.sun, aside)), True)[1] < 0:
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
        at = _plus(view.eye, _times(ray, top))
        out = math.sqrt(at[0] * at[0] + at[1] * at[1])
        if view.inner < out < view.outer:
            colour = _plus(_times(colour, 0.45), (0.43, 0.485, 0.51))
    return colour


@kernel
def _through(view: View, ray: Vector, there: float, away: float, colour: Vector) -> Vector:
    """The colour through one wall, which a ray meets after ``there``."""
    at = _plus(view.eye, _times(ray, there))
    if not 0 < there < away or not 0 <= at[2] <= view.height:
        return colour
    normal = (at[0] / view.outer, at[1] / view.outer, 0.0)
    across = _dot(normal, ray)
    mirror = 0.035 + 0.75 * (1 - abs(across)) ** 4
    clear = (1 - 0.05 / max(abs(across), 0.12)) * (1 - mirror)
    image = _surround(_plus(ray, _times(normal, -2 * across)))
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
                    way = _from(at, scene.centres, one)
                    square = _dot(way, way)
                    if one != who and square < reach * reach and _lies_in(scene, one, x, y, z):
                        over = max(0.0, _dot(way, normal)) / math.sqrt(square)
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
def _meet(scene: Scene, eye: Vector, ray: Vector, any_one: bool) -> tuple[float, int]:
    """How far along a ray the first particle is (or just any), and which; -1 for none."""
    begin_x, end_x = _slab(scene, eye[0], ray[0], 0)
    begin_y, end_y = _slab(scene, eye[1], ray[1], 1)
    begin_z, end_z = _slab(scene, eye[2], ray[2], 2)
    begin = max(0.0, begin_x, begin_y, begin_z)
    if begin >= min(end_x, end_y, end_z):
        return _FAR, -1
    x, step_x, after_x, each_x = _walk(scene, eye[0], ray[0], begin, 0)
    y, step_y, after_y, each_y = _walk(scene, eye[1], ray[1], begin, 1)
    z, step_z, after_z, each_z = _walk(scene, eye[2], ray[2], begin, 2)
    nearest, who = _FAR, -1
    while 0 <= x < scene.cells[0] and 0 <= y < scene.cells[1] and 0 <= z < scene.cells[2]:
        cell = (x * scene.cells[1] + y) * scene.cells[2] + z
        for place in range(scene.begin[cell], scene.begin[cell + 1]):
            away = _cross(scene, scene.members[place], eye, ray)
            if away < nearest:
                nearest, who = away, scene.members[place]
        if nearest <= min(after_x, after_y, after_z) or (any_one and who >= 0):
            break
        if after_x <= after_y and after_x <= after_z:
            x, after_x = x + step_x, after_x + each_x
        elif after_y <= after_z:
            y, after_y = y + step_y, after_y + each_y
        else:
            z, after_z = z + step_z, after_z + each_z
    return nearest, who


@kernel
def _slab(scene: Scene, eye: float, ray: float, axis: int) -> tuple[float, float]:
    """Between where a ray is inside of the grid's bounds along an axis."""
    low = scene.corner[axis]
    high = low + scene.cells[axis] * scene.width
    if abs(ray) < 1e-12:
        return (-_FAR, _FAR) if low <= eye <= high else (_FAR, -_FAR)
    one, other = (low - eye) / ray, (high - eye) / ray
    return min(one, other), max(one, other)


@kernel
def _walk(
    scene: Scene, eye: float, ray: float, begin: float, axis: int
) -> tuple[int, int, float, float]:
    """Along an axis: the first cell, the step to the next, when it is reached, and each after."""
    place = (eye + begin * ray - scene.corner[axis]) / scene.width
    cell = min(max(int(place), 0), scene.cells[axis] - 1)
    if abs(ray) < 1e-12:
        return cell, 1, _FAR, _FAR
    step = 1 if ray > 0 else -1
    edge = scene.corner[axis] + (cell + (1 if ray > 0 else 0)) * scene.width
    return cell, step, (edge - eye) / ray, scene.width / abs(ray)


@kernel
def _cross(scene: Scene, one: int, eye: Vector, ray: Vector) -> float:
    """How far along a ray a particle is met from outside; far away for not at all."""
    way = _from(eye, scene.centres, one)
    along = _dot(way, ray)
    outside = _dot(way, way) - scene.size[3] * scene.size[3]
    square = along * along - outside
    if square <= 0 or (along < 0 and outside > 0):
        return _FAR
    if scene.kind == SPHERE:
        away = along - math.sqrt(square)
        return away if away > 0 else _FAR
    own_eye = _own(scene.turns, one, (-way[0], -way[1], -way[2]))
    own_ray = _own(scene.turns, one, ray)
    if scene.kind == CUBE:
        return _cross_cube(own_eye, own_ray, scene.size[0])
    return _cross_turned(own_eye, own_ray, scene.size[0], scene.size[1], scene.size[2])


@kernel
def _cross_cube(eye: Vector, ray: Vector, half: float) -> float:
    begin, end = -_FAR, _FAR
    for axis in range(3):
        if abs(ray[axis]) < 1e-12:
            if abs(eye[axis]) > half:
                return _FAR
        else:
            one, other = (-half - eye[axis]) / ray[axis], (half - eye[axis]) / ray[axis]
            begin, end = max(begin, min(one, other)), min(end, max(one, other))
    return begin if 0 < begin < end else _FAR


@kernel
def _cross_turned(eye: Vector, ray: Vector, outer: float, half: float, inner: float) -> float:
    """A cylinder or a ring: its outer wall from outside, its bore from within, its two ends."""
    a = ray[0] * ray[0] + ray[1] * ray[1]
    b = eye[0] * ray[0] + eye[1] * ray[1]
    c = eye[0] * eye[0] + eye[1] * eye[1]
    nearest = _FAR
    if a > 1e-12:
        square = b * b - a * (c - outer * outer)
        away = (-b - math.sqrt(max(square, 0.0))) / a
        if square > 0 and away > 0 and abs(eye[2] + away * ray[2]) <= half:
            nearest = away
        square = b * b - a * (c - inner * inner)
        away = (-b + math.sqrt(max(square, 0.0))) / a
        if inner > 0 and square > 0 and 0 < away < nearest and abs(eye[2] + away * ray[2]) <= half:
            nearest = away
    if abs(ray[2]) > 1e-12:
        away = ((half if ray[2] < 0 else -half) - eye[2]) / ray[2]
        out = (eye[0] + away * ray[0]) ** 2 + (eye[1] + away * ray[1]) ** 2
        if 0 < away < nearest and inner * inner <= out <= outer * outer:
            nearest = away
    return nearest


@kernel
def _normal(scene: Scene, one: int, at: Vector) -> Vector:
    """Outward, where a particle was met."""
    way = _from(at, scene.centres, one)
    if scene.kind == SPHERE:
        return _times(way, -1 / scene.size[0])
    x, y, z = _own(scene.turns, one, (-way[0], -way[1], -way[2]))
    if scene.kind == CUBE:
        if abs(x) >= abs(y) and abs(x) >= abs(z):
            normal = (math.copysign(1.0, x), 0.0, 0.0)
        elif abs(y) >= abs(z):
            normal = (0.0, math.copysign(1.0, y), 0.0)
        else:
            normal = (0.0, 0.0, math.copysign(1.0, z))
    else:
        out = max(math.sqrt(x * x + y * y), 1e-30)
        to_bore = abs(out - scene.size[2]) if scene.kind == RING else _FAR
        to_wall = abs(scene.size[0] - out)
        if abs(scene.size[1] - abs(z)) < min(to_bore, to_wall):
            normal = (0.0, 0.0, math.copysign(1.0, z))
        else:
            sign = 1.0 if to_wall < to_bore else -1.0
            normal = (sign * x / out, sign * y / out, 0.0)
    turn = scene.turns
    return (
        turn[one, 0, 0] * normal[0] + turn[one, 0, 1] * normal[1] + turn[one, 0, 2] * normal[2],
        turn[one, 1, 0] * normal[0] + turn[one, 1, 1] * normal[1] + turn[one, 1, 2] * normal[2],
        turn[one, 2, 0] * normal[0] + turn[one, 2, 1] * normal[1] + turn[one, 2, 2] * normal[2],
    )


@kernel
def _own(turns: Field, one: int, way: Vector) -> Vector:
    """A vector in a particle's own axes."""
    return (
        turns[one, 0, 0] * way[0] + turns[one, 1, 0] * way[1] + turns[one, 2, 0] * way[2],
        turns[one, 0, 1] * way[0] + turns[one, 1, 1] * way[1] + turns[one, 2, 1] * way[2],
        turns[one, 0, 2] * way[0] + turns[one, 1, 2] * way[1] + turns[one, 2, 2] * way[2],
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


@kernel
def _from(at: Vector, centres: Field, one: int) -> Vector:
    """The way from a place to a particle's centre."""
    return (centres[one, 0] - at[0], centres[one, 1] - at[1], centres[one, 2] - at[2])


@kernel
def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@kernel
def _plus(a: Vector, b: Vector) -> Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


@kernel
def _times(a: Vector, by: float) -> Vector:
    return (a[0] * by, a[1] * by, a[2] * by)


@kernel
def _unit(a: Vector) -> Vector:
    return _times(a, 1 / math.sqrt(_dot(a, a)))
