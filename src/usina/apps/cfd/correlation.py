"""What the literature says of packed beds: porosity, permeability and pressure drop, each with the
range that it was found in.

Everything is in SI units. A velocity is superficial: the volume flow over the area of the empty
tube. The diameter of a particle that is no sphere is that of the sphere with the same surface per
volume, six volumes over one surface (Sauter).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from usina.apps.cfd.particles import Shape

Kind = Literal["spheres", "cylinders", "others"]
"""What a bed is made of, as far as the correlations tell it apart."""


def kind_of(shape: Shape) -> Kind:
    """What the correlations take particles of a shape for."""
    if shape.kind == "sphere":
        return "spheres"
    return "cylinders" if shape.kind == "cylinder" else "others"


@dataclass(frozen=True, slots=True)
class Bed:
    """A packing in a tube. ``porosity`` is the void fraction of its core, between 0 and 1."""

    porosity: float
    particle_diameter_m: float
    tube_diameter_m: float

    @property
    def diameter_ratio(self) -> float:
        """Tube over particle."""
        return self.tube_diameter_m / self.particle_diameter_m


@dataclass(frozen=True, slots=True)
class Flow:
    """A fluid and how fast it enters."""

    density_kg_m3: float
    viscosity_pa_s: float
    velocity_m_s: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range of a quantity that a correlation was found in."""

    quantity: str
    value: float
    least: float
    most: float

    @property
    def held(self) -> bool:
        return self.least <= self.value <= self.most

    def __str__(self) -> str:
        if math.isinf(self.most):
            return f"{self.quantity} is {self.value:.4g}, it holds from {self.least:g} on"
        return (
            f"{self.quantity} is {self.value:.4g}, "
            f"it holds from {self.least:.8g} to {self.most:.8g}"
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value by a correlation: whether every one of its ``bounds`` is held, and in words which is
    not. A ``doubt``, a sentence's end, takes any value out of its range."""

    value: float
    source: str
    bounds: tuple[Bounds, ...]
    doubt: str = ""

    @property
    def in_range(self) -> bool:
        return not self.doubt and all(each.held for each in self.bounds)

    @property
    def message(self) -> str:
        """One sentence for people."""
        broken = [str(each) for each in self.bounds if not each.held]
        broken += [self.doubt] if self.doubt else []
        if broken:
            return f"{self.source} is used beyond its range: {'; '.join(broken)}."
        return f"{self.source} is used within its range."


@dataclass(frozen=True, slots=True)
class Resistance:
    """The two parts of a bed's resistance: the pressure gradient is
    ``viscous * viscosity * velocity + inertial * density * velocity ** 2``."""

    viscous_1_m2: float
    inertial_1_m: float

    def gradient_pa_m(self, flow: Flow) -> float:
        """The pressure lost per metre of bed."""
        return self.viscous_pa_m(flow) + self.inertial_pa_m(flow)

    def viscous_pa_m(self, flow: Flow) -> float:
        """Darcy's part of it."""
        return self.viscous_1_m2 * flow.viscosity_pa_s * flow.velocity_m_s

    def inertial_pa_m(self, flow: Flow) -> float:
        """Forchheimer's part of it."""
        return self.inertial_1_m * flow.density_kg_m3 * flow.velocity_m_s**2

    @property
    def permeability_m2(self) -> float:
        """Darcy's permeability."""
        return 1 / self.viscous_1_m2


def particle_reynolds(bed: Bed, flow: Flow) -> float:
    """The Reynolds number of a particle, by the superficial velocity."""
    return flow.density_kg_m3 * flow.velocity_m_s * bed.particle_diameter_m / flow.viscosity_pa_s


def modified_reynolds(bed: Bed, flow: Flow) -> float:
    """The Reynolds number of the voids as Ergun has it: that of a particle over the solid
    fraction."""
    return particle_reynolds(bed, flow) / (1 - bed.porosity)


def ergun_resistance(bed: Bed) -> Resistance:
    """Both terms of Ergun's equation, 150 and 1.75; it knows no wall.

    S. Ergun, Fluid flow through packed columns, Chemical Engineering Progress 48 (1952) 89-94.
    """
    solid, void, diameter = 1 - bed.porosity, bed.porosity**3, bed.particle_diameter_m
    return Resistance(150 * solid**2 / (void * diameter**2), 1.75 * solid / (void * diameter))


def ergun(bed: Bed, flow: Flow) -> Estimate:
    """The pressure gradient in Pa/m by Ergun (1952), found for modified Reynolds numbers to 2500 in
    tubes so wide that their wall does not count, ten particles and more."""
    return Estimate(
        ergun_resistance(bed).gradient_pa_m(flow),
        "Ergun (1952)",
        (
            Bounds("the modified Reynolds number", modified_reynolds(bed, flow), 0, 2500),
            Bounds("tube over particle diameter", bed.diameter_ratio, 10, math.inf),
        ),
    )


_EISFELD: Final[dict[Kind, tuple[float, float, float]]] = {
    "spheres": (154, 1.15, 0.87),
    "cylinders": (190, 2.00, 0.77),
    "others": (155, 1.42, 0.83),
}
"""K1, k1 and k2; those of other shapes are the authors' fit to all their data."""

_DOUBTS: Final[dict[Kind, str]] = {
    "spheres": "",
    "cylinders": "its coefficients for cylinders were not checked against the paper",
    "others": "whether particles of this shape are among its data was not checked",
}
"""The coefficients of spheres and of all particles, and the ranges below, agree with another
reading of the paper, which takes those of all particles for sphericities from 0.8 on and has none
for cylinders alone: M. Nikitin, WHR Optimization Framework (2026), doi:10.5281/zenodo.20756923."""


def eisfeld_schnitzlein_resistance(bed: Bed, kind: Kind = "spheres") -> Resistance:
    """Both terms of Reichelt's equation, which knows the wall, with the coefficients of B. Eisfeld
    and K. Schnitzlein, The influence of confining walls on the pressure drop in packed beds,
    Chemical Engineering Science 56 (2001) 4321-4329."""
    leading, narrow, wide = _EISFELD[kind]
    ratio, solid, void = bed.diameter_ratio, 1 - bed.porosity, bed.porosity**3
    wall = 1 + 2 / (3 * ratio * solid)
    loss = (narrow / ratio**2 + wide) ** 2
    diameter = bed.particle_diameter_m
    return Resistance(
        leading * wall**2 * solid**2 / (void * diameter**2),
        wall / loss * solid / (void * diameter),
    )


def eisfeld_schnitzlein(bed: Bed, flow: Flow, kind: Kind = "spheres") -> Estimate:
    """The pressure gradient in Pa/m by Eisfeld and Schnitzlein (2001), fitted to 2300 points."""
    return Estimate(
        eisfeld_schnitzlein_resistance(bed, kind).gradient_pa_m(flow),
        "Eisfeld and Schnitzlein (2001)",
        (
            Bounds("the particle Reynolds number", particle_reynolds(bed, flow), 0.01, 17_635),
            Bounds("tube over particle diameter", bed.diameter_ratio, 1.624, 250),
            Bounds("porosity", bed.porosity, 0.330, 0.882),
        ),
        _DOUBTS[kind],
    )


def carman_kozeny(bed: Bed) -> Estimate:
    """The permeability in m2 with Carman's 180; it knows no wall.

    P. C. Carman, Fluid flow through granular beds, Transactions of the Institution of Chemical
    Engineers 15 (1937) 150-166.
    """
    solid = 1 - bed.porosity
    return Estimate(
        bed.porosity**3 * bed.particle_diameter_m**2 / (180 * solid**2),
        "Carman and Kozeny (1937)",
        (
            Bounds("porosity", bed.porosity, 0.26, 0.8),
            Bounds("tube over particle diameter", bed.diameter_ratio, 10, math.inf),
        ),
    )


def dixon(diameter_ratio: float, kind: Literal["spheres", "cylinders"] = "spheres") -> Estimate:
    """The mean porosity of a bed in a tube, by tube over particle diameter; of cylinders, by the
    diameter of the sphere of equal volume.

    A. G. Dixon, Correlations for wall and particle shape effects on fixed bed bulk voidage,
    Canadian Journal of Chemical Engineering 66 (1988) 705-708.
    """
    _needs_room(diameter_ratio)
    x = 1 / diameter_ratio
    value = _dixon_spheres(x) if kind == "spheres" else _dixon_cylinders(x)
    most = 1.0 if kind == "spheres" else 0.9
    return Estimate(value, "Dixon (1988)", (Bounds("particle over tube diameter", x, 0.0, most),))


def _dixon_spheres(x: float) -> float:
    if x <= 0.5:
        return 0.4 + 0.05 * x + 0.412 * x**2
    if x <= 0.536:
        return 0.528 + 2.464 * (x - 0.5)
    return 1 - 0.667 * x**3 / math.sqrt(2 * x - 1)


def _dixon_cylinders(x: float) -> float:
    if x <= 0.6:
        return 0.36 + 0.10 * x + 0.7 * x**2
    if x <= 0.7:
        return 0.677 - 9 * (x - 0.625) ** 2
    return 1 - 0.763 * x**2


def de_klerk(diameter_ratio: float, bulk_porosity: float = 0.4) -> Estimate:
    """The mean porosity of a bed of spheres in a tube, by tube over particle diameter and the
    porosity far from a wall.

    A. de Klerk, Voidage variation in packed beds at small column to particle diameter ratio,
    AIChE Journal 49 (2003) 2022-2029.
    """
    _needs_room(diameter_ratio)
    return Estimate(
        bulk_porosity + 0.35 * math.exp(-0.39 * diameter_ratio),
        "de Klerk (2003)",
        (Bounds("tube over particle diameter", diameter_ratio, 2, math.inf),),
    )


def de_klerk_profile(distances: Iterable[float], bulk_porosity: float = 0.4) -> list[float]:
    """The porosity at distances from the wall, in particle diameters, of a bed of spheres: a
    parabola near the wall, then a damped wave (de Klerk 2003, as `de_klerk`)."""
    return [_near(x) if x <= 0.637 else _far(x, bulk_porosity) for x in distances]


def _near(x: float) -> float:
    return 2.14 * x**2 - 2.53 * x + 1


def _far(x: float, bulk_porosity: float) -> float:
    wave = 0.29 * math.exp(-0.6 * x) * math.cos(2.3 * math.pi * (x - 0.16))
    return bulk_porosity + wave + 0.15 * math.exp(-0.9 * x)


def _needs_room(diameter_ratio: float) -> None:
    if not diameter_ratio >= 1:
        raise ValueError(f"No particle fits a tube of {diameter_ratio:g} of its diameters.")
