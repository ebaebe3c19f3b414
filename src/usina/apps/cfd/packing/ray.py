"""What a ray meets among the particles of a scene, found by walking the cells of its grid
(Amanatides and Woo, Eurographics 1987).

Vectors are tuples, which compiled code keeps in registers.
"""

import math

from usina.apps.cfd.jit import kernel
from usina.apps.cfd.packing.scene import CUBE, RING, SPHERE, Scene, Vector
from usina.imaging.array import Field

FAR = 1e30
"""Where a ray meets nothing."""


@kernel
def meet(scene: Scene, eye: Vector, ray: Vector, any_one: bool) -> tuple[float, int]:
    """How far along a ray the first particle is (or just any), and which; -1 for none."""
    begin_x, end_x = _slab(scene, eye[0], ray[0], 0)
    begin_y, end_y = _slab(scene, eye[1], ray[1], 1)
    begin_z, end_z = _slab(scene, eye[2], ray[2], 2)
    begin = max(0.0, begin_x, begin_y, begin_z)
    if begin >= min(end_x, end_y, end_z):
        return FAR, -1
    x, step_x, after_x, each_x = _walk(scene, eye[0], ray[0], begin, 0)
    y, step_y, after_y, each_y = _walk(scene, eye[1], ray[1], begin, 1)
    z, step_z, after_z, each_z = _walk(scene, eye[2], ray[2], begin, 2)
    nearest, who = FAR, -1
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
        return (-FAR, FAR) if low <= eye <= high else (FAR, -FAR)
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
        return cell, 1, FAR, FAR
    step = 1 if ray > 0 else -1
    edge = scene.corner[axis] + (cell + (1 if ray > 0 else 0)) * scene.width
    return cell, step, (edge - eye) / ray, scene.width / abs(ray)


@kernel
def _cross(scene: Scene, one: int, eye: Vector, ray: Vector) -> float:
    """How far along a ray a particle is met from outside; far away for not at all."""
    way = way_to(eye, scene.centres, one)
    along = dot(way, ray)
    outside = dot(way, way) - scene.size[3] * scene.size[3]
    square = along * along - outside
    if square <= 0 or (along < 0 and outside > 0):
        return FAR
    if scene.kind == SPHERE:
        away = along - math.sqrt(square)
        return away if away > 0 else FAR
    own_eye = _own(scene.turns, one, (-way[0], -way[1], -way[2]))
    own_ray = _own(scene.turns, one, ray)
    if scene.kind == CUBE:
        return _cross_cube(own_eye, own_ray, scene.size[0])
    return _cross_turned(own_eye, own_ray, scene.size[0], scene.size[1], scene.size[2])


@kernel
def _cross_cube(eye: Vector, ray: Vector, half: float) -> float:
    begin, end = -FAR, FAR
    for axis in range(3):
        if abs(ray[axis]) < 1e-12:
            if abs(eye[axis]) > half:
                return FAR
        else:
            one, other = (-half - eye[axis]) / ray[axis], (half - eye[axis]) / ray[axis]
            begin, end = max(begin, min(one, other)), min(end, max(one, other))
    return begin if 0 < begin < end else FAR


@kernel
def _cross_turned(eye: Vector, ray: Vector, outer: float, half: float, inner: float) -> float:
    """A cylinder or a ring: its outer wall from outside, its bore from within, its two ends."""
    a = ray[0] * ray[0] + ray[1] * ray[1]
    b = eye[0] * ray[0] + eye[1] * ray[1]
    c = eye[0] * eye[0] + eye[1] * eye[1]
    nearest = FAR
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
def normal_of(scene: Scene, one: int, at: Vector) -> Vector:
    """Outward, where a particle was met."""
    way = way_to(at, scene.centres, one)
    if scene.kind == SPHERE:
        return times(way, -1 / scene.size[0])
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
        to_bore = abs(out - scene.size[2]) if scene.kind == RING else FAR
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
def way_to(at: Vector, centres: Field, one: int) -> Vector:
    """The way from a place to a particle's centre."""
    return (centres[one, 0] - at[0], centres[one, 1] - at[1], centres[one, 2] - at[2])


@kernel
def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@kernel
def plus(a: Vector, b: Vector) -> Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


@kernel
def times(a: Vector, by: float) -> Vector:
    return (a[0] * by, a[1] * by, a[2] * by)


@kernel
def unit(a: Vector) -> Vector:
    return times(a, 1 / math.sqrt(dot(a, a)))
