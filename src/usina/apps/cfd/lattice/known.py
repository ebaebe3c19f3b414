"""Flows whose answer is known: between plates, in a round tube, through cubic arrays of spheres;
and a regular bed, whose porosity is."""

import math

import numpy as np

from usina.apps.cfd.lattice.stokes import Stokes
from usina.apps.cfd.particles import Particles, spheres
from usina.imaging.array import Bits


def plates(gap: int) -> Bits:
    """Two plates ``gap`` voxels apart, of endless length and width."""
    fluid = np.ones((2, 2, gap + 1), dtype=bool)
    fluid[:, :, -1] = False
    return fluid


def tube(diameter: int) -> Bits:
    """One layer of an endless round tube, so many voxels across, along z."""
    side = diameter + 2
    place = np.arange(0.5, side) - side / 2
    return (np.hypot(place[:, None], place[None, :]) < diameter / 2)[None]


def sphere_radius(side: int, solid: float) -> float:
    """Of the sphere that fills a share of a cube of so many voxels."""
    return side * (3 * solid / (4 * math.pi)) ** (1 / 3)


def cubic_array(side: int, solid: float) -> Bits:
    """The cell of a simple cubic array of spheres that fill a share ``solid`` of it."""
    place = np.arange(0.5, side) - side / 2
    away = place[:, None, None] ** 2 + place[None, :, None] ** 2 + place[None, None, :] ** 2
    return away > sphere_radius(side, solid) ** 2


def drag_of(flow: Stokes, side: int, solid: float) -> float:
    """The force on a sphere of a `cubic_array` over that on a lone one in the same mean flow,
    ``K = F / (6 pi mu a U)``, the force being the pressure gradient times the cell.

    A. A. Zick and G. M. Homsy, Stokes flow through periodic arrays of spheres, Journal of Fluid
    Mechanics 115 (1982) 13-26: 4.292, 15.4 and 42.1 for solid shares of 0.125, 0.343 and pi / 6.
    """
    mean = float(flow.mobility()[2].sum()) / side**3
    return side**3 / (6 * math.pi * sphere_radius(side, solid) * mean)


STOREYS_POROSITY = 1 - 7 * (2 / 3) / 9
"""Of `storeys`, exactly: seven spheres in each piece of a tube of three diameters that is one
diameter high."""


def storeys(count: int, diameter_m: float = 0.01) -> Particles:
    """Spheres in a tube of three of their diameters: on each storey one on the axis and six around
    it, which touch each other, the floor below and the tube; each turned by half a step."""
    level = np.arange(count).repeat(6)
    angle = (np.tile(np.arange(6.0), count) + level % 2 / 2) * np.pi / 3
    around = np.column_stack([np.cos(angle), np.sin(angle), level + 0.5])
    axis = np.zeros((count, 3))
    axis[:, 2] = np.arange(0.5, count)
    return spheres(diameter_m, np.multiply(diameter_m, np.concatenate([axis, around]), dtype=float))
