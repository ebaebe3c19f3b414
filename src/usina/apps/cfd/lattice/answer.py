"""What is told of a flow: permeability, and per velocity the pressure drop with its gates.

Darcy's part is computed. What inertia adds is not: it is Eisfeld and Schnitzlein's term, and every
place that shows it says so.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from usina.apps.cfd.correlation import (
    eisfeld_schnitzlein,
    eisfeld_schnitzlein_resistance,
    ergun,
    particle_reynolds,
)
from usina.apps.cfd.gate import Gate, at_least, at_most
from usina.apps.cfd.lattice.question import Piece, Question
from usina.apps.cfd.lattice.stokes import Settling, Stokes, unevenness
from usina.apps.cfd.lattice.voxel import Grid
from usina.imaging.array import Field

INERTIA: Final = "Eisfeld and Schnitzlein (2001), inertial term; a correlation, not computed"

DARCY_M2: Final = 9.869233e-13
"""One darcy."""

RESOLUTION_LEAST: Final = 10
CREEPING_MOST: Final = 1.0
UNEVEN_MOST: Final = 0.01
POROSITY_MOST: Final = 0.02
ENDS_MOST: Final = 0.1


@dataclass(frozen=True, slots=True)
class Solved:
    """A flow that was computed: on which grid, how it settled, and ``mobility`` ``(3, z, y, x)``
    in metres squared, 0 in what is solid: the velocity is that times the pressure gradient over
    the viscosity."""

    piece: Piece
    grid: Grid
    settling: Settling
    cells: int
    steps: int
    mobility: Field
    permeability_m2: float
    uneven: float

    @property
    def porosity_mesh(self) -> float:
        """Of the voxels, over the true tube."""
        grid, tube = self.grid, self.piece.tube_diameter_m
        room = np.pi * tube**2 / 4 * grid.voxel_m * grid.fluid.shape[0]
        return float(self.cells * grid.voxel_m**3 / room)

    def ends_porosity(self) -> float:
        """The porosity of the two ends, half a particle deep, less that of the whole piece."""
        deep = max(1, round(self.piece.particles.shape.diameter_m / self.grid.voxel_m / 2))
        voids = self.grid.fluid.sum(axis=(1, 2)).astype(float)
        ends = np.concatenate([voids[:deep], voids[-deep:]]).mean()
        return float((ends / voids.mean() - 1) * self.porosity_mesh)


def solved(piece: Piece, grid: Grid, flow: Stokes, settling: Settling) -> Solved:
    """What a settled flow says, in metres."""
    mobility = np.zeros((3, *grid.fluid.shape))
    mobility.reshape(3, -1)[:, flow.domain.nodes] = flow.mobility() * grid.voxel_m**2
    layers = flow.through_layers()
    return Solved(
        piece=piece,
        grid=grid,
        settling=settling,
        cells=len(flow.domain.nodes),
        steps=flow.steps,
        mobility=mobility,
        permeability_m2=_permeability(float(layers.mean()), piece, grid),
        uneven=unevenness(layers),
    )


def drop_by(piece: Piece, grid: Grid, question: Question, through: float) -> float:
    """The pressure drop at the first velocity, in Pa, if so much, in voxels, flows through each
    layer."""
    velocity = question.velocities_m_s[0]
    viscous = question.viscosity_pa_s * velocity / _permeability(through, piece, grid)
    resistance = eisfeld_schnitzlein_resistance(piece.bed, piece.kind)
    return (viscous + resistance.inertial_pa_m(question.flow(velocity))) * piece.bed_height_m


def _permeability(through: float, piece: Piece, grid: Grid) -> float:
    area = np.pi / 4 * (piece.tube_diameter_m / grid.voxel_m) ** 2
    return through * grid.voxel_m**2 / area


def results(found: Solved, question: Question) -> list[dict[str, Any]]:
    """One per velocity, with the names that the contract gives them."""
    shared = shared_gates(found, question)
    return [_result(found, question, velocity, shared) for velocity in question.velocities_m_s]


def _result(
    found: Solved, question: Question, velocity: float, shared: list[Gate]
) -> dict[str, Any]:
    piece, flow = found.piece, question.flow(velocity)
    resistance = eisfeld_schnitzlein_resistance(piece.bed, piece.kind)
    viscous = question.viscosity_pa_s * velocity / found.permeability_m2
    inertial = resistance.inertial_pa_m(flow)
    correlation = eisfeld_schnitzlein(piece.bed, flow, piece.kind)
    reynolds = particle_reynolds(piece.bed, flow)
    share = inertial / (viscous + inertial)
    gates = [
        *shared,
        at_most(
            "darcy",
            reynolds,
            CREEPING_MOST,
            "The flow creeps, so all that matters of it was computed.",
            f"At {velocity:g} m/s inertia counts: {share:.0%} of the pressure drop is not computed "
            "but comes from Eisfeld and Schnitzlein's inertial term. bed-flow-openfoam computes "
            "it.",
        ),
        _of_correlation(correlation.in_range, correlation.message),
    ]
    return {
        "velocity_m_s": velocity,
        "reynolds": reynolds,
        "pressure_drop_pa": (viscous + inertial) * piece.bed_height_m,
        "pressure_gradient_pa_m": viscous + inertial,
        "viscous_pa_m": viscous,
        "inertial_pa_m": inertial,
        "inertial_source": INERTIA,
        "ergun_pa_m": ergun(piece.bed, flow).value,
        "eisfeld_schnitzlein_pa_m": correlation.value,
        "porosity_geometry": piece.porosity,
        "porosity_mesh": found.porosity_mesh,
        "cells": found.cells,
        "gates": [gate.as_json() for gate in gates],
    }


def shared_gates(found: Solved, question: Question) -> list[Gate]:
    """Those that do not depend on the velocity."""
    return [
        at_least(
            "resolution",
            question.resolution,
            RESOLUTION_LEAST,
            "Enough voxels lie across a particle for the pores to be seen.",
            f"Fewer than {RESOLUTION_LEAST} voxels across a particle see its pores too coarsely; "
            "raise mesh.resolution.",
        ),
        at_most(
            "convergence",
            found.settling.left(),
            question.tolerance,
            "The flow is steady: going on would not change the permeability by more.",
            "The flow was not steady yet when the steps were used up; shorten "
            "mesh.length_diameters.",
        ),
        at_most(
            "mass_conservation",
            found.uneven,
            UNEVEN_MOST,
            "As much flows through every cut across the tube.",
            "The flow through different cuts across the tube differs; lower mesh.tolerance.",
        ),
        at_most(
            "porosity",
            found.porosity_mesh - found.piece.porosity,
            POROSITY_MOST,
            "The voxels are as empty as the bed itself.",
            "The voxels are not as empty as the bed itself; raise mesh.resolution.",
        ),
        at_most(
            "ends",
            found.ends_porosity(),
            ENDS_MOST,
            "The two cut ends, where the bed goes on as its mirror image, are like its core.",
            "The two cut ends, where the bed goes on as its mirror image, are not like its core; "
            "choose another mesh.length_diameters.",
        ),
    ]


def _of_correlation(in_range: bool, message: str) -> Gate:
    return Gate("correlation_range", in_range, float(in_range), 1.0, message)
