"""How empty a bed is: between two heights, along its axis, and from its axis to its wall.

Porosity is the share of the tube's inside that no particle fills. For spheres it is exact: the part
of a sphere below a height is a cap of volume pi h^2 (d/2 - h/3). Other shapes are filled with
points of equal volume (`_filling`), and `Porosity.error` says by how much that may be off.

Particles lie inside of the tube; where two overlap, what they share counts twice.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from usina.apps.cfd.particles import Particles, Shape
from usina.imaging.array import Field
from usina_runner import InvalidInput

POINTS: Final = 4096
"""Points in a particle that is not a sphere; fewer in beds of more than `_MANY` particles."""

_MANY = 1000
_SLACK = 0.02
"""Of a particle's diameter: by how much simulations leave one in the wall."""
_ANGLES = 32


@dataclass(frozen=True, slots=True)
class Porosity:
    """A void fraction between two heights in metres; ``error`` is 0 where it is exact."""

    value: float
    low_m: float
    high_m: float
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """The void fraction ``porosity`` ``(k,)`` at ``place_m`` ``(k,)``: a height, or a distance from
    the wall."""

    place_m: Field
    porosity: Field


def top_of(particles: Particles) -> float:
    """The height of the highest point of any particle, in metres."""
    return float((particles.centres[:, 2] + particles.extents()[:, 0]).max())


def tube_around(particles: Particles) -> float:
    """The diameter of the narrowest tube about the axis that holds them, in metres."""
    return 2 * float(particles.extents()[:, 1].max())


def tube_for(particles: Particles, diameter_m: float | None) -> float:
    """The diameter that is told, else that of the narrowest tube about the axis that holds the
    particles. Raises ``InvalidInput`` (``tube_too_narrow``) where they reach beyond it."""
    touched = tube_around(particles)
    if diameter_m is None:
        return touched
    if diameter_m < touched - _SLACK * particles.shape.equivalent_diameter_m:
        raise InvalidInput(
            "tube_too_narrow",
            f"The particles reach {touched:.6g} m across, diameter_m is {diameter_m:.6g}; leave it "
            "out to take what they touch.",
        )
    return diameter_m


def porosity_between(
    particles: Particles, diameter_m: float, low_m: float, high_m: float
) -> Porosity:
    """Of the tube between two heights."""
    room = np.pi * diameter_m**2 / 4 * (high_m - low_m)
    if particles.shape.kind == "sphere":
        return Porosity(1 - _caps(particles, low_m, high_m) / room, low_m, high_m)
    heights = _points(particles)[:, :, 2]
    inside = (heights >= low_m) & (heights < high_m)
    point = particles.shape.volume_m3 / heights.shape[1]
    filled = point * float(inside.sum())
    halves = [2 * point * float(inside[:, start::2].sum()) for start in (0, 1)]
    error = abs(halves[0] - halves[1]) / 2 / room
    return Porosity(1 - filled / room, low_m, high_m, error)


def bulk_porosity(particles: Particles, diameter_m: float) -> Porosity:
    """Of the whole bed, from the floor to the top of the highest particle."""
    return porosity_between(particles, diameter_m, 0.0, top_of(particles))


def core_porosity(particles: Particles, diameter_m: float) -> Porosity | None:
    """Of the core: one particle diameter left out at each end. Null for a bed lower than three
    diameters, which has none."""
    across = particles.shape.diameter_m
    top = top_of(particles)
    if top < 3 * across:
        return None
    return porosity_between(particles, diameter_m, across, top - across)


def axial_profile(particles: Particles, diameter_m: float, slices: int = 100) -> Profile:
    """Of so many slices of equal height, from the floor to the top of the bed."""
    edges = np.linspace(0, top_of(particles), slices + 1)
    room = np.pi * diameter_m**2 / 4 * np.diff(edges)
    if particles.shape.kind == "sphere":
        below = np.array([_caps(particles, -np.inf, edge) for edge in edges])
        filled = np.diff(below)
    else:
        heights = _points(particles)[:, :, 2]
        point = particles.shape.volume_m3 / heights.shape[1]
        filled = np.histogram(heights, edges)[0] * point
    return Profile((edges[1:] + edges[:-1]) / 2, 1 - filled / room)


def radial_profile(
    particles: Particles, diameter_m: float, low_m: float, high_m: float, shells: int = 100
) -> Profile:
    """By the distance from the wall, between two heights, in the middles of so many shells; for
    spheres over the surface of the cylinder there, for other shapes over the shell."""
    edges = np.linspace(0, diameter_m / 2, shells + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    if particles.shape.kind == "sphere":
        filled = np.array([_on_cylinder(particles, radius, low_m, high_m) for radius in middle])
        share = filled / (2 * np.pi * middle * (high_m - low_m))
    else:
        points = _points(particles)
        inside = (points[..., 2] >= low_m) & (points[..., 2] < high_m)
        point = particles.shape.volume_m3 / points.shape[1]
        away = np.hypot(points[..., 0][inside], points[..., 1][inside])
        room = np.pi * np.diff(edges**2) * (high_m - low_m)
        share = np.histogram(away, edges)[0] * point / room
    return Profile((diameter_m / 2 - middle)[::-1].copy(), (1 - share)[::-1].copy())


def _caps(particles: Particles, low: float, high: float) -> float:
    """The volume of the spheres between two heights."""
    radius = particles.shape.diameter_m / 2
    z = particles.centres[:, 2]

    def below(height: float) -> Field:
        deep = np.clip(height - z + radius, 0, 2 * radius)
        return np.pi * deep**2 * (radius - deep / 3)

    return float((below(high) - below(low)).sum())


def _on_cylinder(particles: Particles, radius: float, low: float, high: float) -> float:
    """The area inside of the spheres on a cylinder about the axis, between two heights.

    A sphere is met over the angles whose points lie nearer than its own radius in plan, each time
    for a chord; the angle goes as the sine, which makes the ends of that integral smooth.
    """
    own = particles.shape.diameter_m / 2
    away = np.hypot(particles.centres[:, 0], particles.centres[:, 1])
    met = np.abs(away - radius) < own
    away, z = away[met], particles.centres[met, 2]
    far = radius**2 + away**2 - own**2
    both = 2 * radius * away
    ratio = np.divide(far, both, out=np.where(far > 0, 1.0, -1.0), where=both > 0)
    widest = np.arccos(np.clip(ratio, -1, 1))
    node, share = np.polynomial.legendre.leggauss(_ANGLES)
    turn = node * np.pi / 2
    angle = widest[:, None] * np.sin(turn)
    plan = radius**2 + away[:, None] ** 2 - both[:, None] * np.cos(angle)
    half = np.sqrt(np.maximum(own**2 - plan, 0))
    height = z[:, None]
    chord = np.clip(height + half, low, high) - np.clip(height - half, low, high)
    weight = widest[:, None] * np.cos(turn) * share * np.pi / 2
    return float((chord * weight).sum()) * radius


def _points(particles: Particles) -> Field:
    """``(n, p, 3)``: points that fill the particles evenly."""
    count = POINTS if len(particles) <= _MANY else POINTS // 8
    inside = _filling(particles.shape, count)
    turned = np.einsum("nij,pj->npi", particles.rotations(), inside)
    turned += particles.centres[:, None]
    return turned


def _filling(shape: Shape, count: int) -> Field:
    """``(count, 3)``: points of equal volume about the centre of a cube, a cylinder or a ring. They
    follow the additive recurrence of the plastic number (Roberts 2018), which fills a box more
    evenly than chance; a radius goes as the root that keeps areas."""
    plastic = 1.2207440846057596
    steps = plastic ** -np.arange(1.0, 4.0)
    x, y, z = ((np.arange(1, count + 1)[:, None] * steps) % 1).T
    if shape.kind == "cube":
        return shape.diameter_m * (np.column_stack([x, y, z]) - 0.5)
    inner, outer = shape.inner_diameter_m / 2, shape.diameter_m / 2
    radius = np.sqrt(inner**2 + x * (outer**2 - inner**2))
    turn = 2 * np.pi * y
    length = (z - 0.5) * shape.length_m
    return np.column_stack([radius * np.cos(turn), radius * np.sin(turn), length])
