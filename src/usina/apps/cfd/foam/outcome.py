"""What a velocity comes to: its figures beside the correlations', and the gates that judge them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from usina.apps.cfd.correlation import (
    Bed,
    Estimate,
    Flow,
    eisfeld_schnitzlein,
    ergun,
    kind_of,
    particle_reynolds,
)
from usina.apps.cfd.foam.field import Slope
from usina.apps.cfd.foam.layout import Layout
from usina.apps.cfd.foam.log import MeshQuality, Monitor
from usina.apps.cfd.foam.option import Fluid
from usina.apps.cfd.foam.solver import STILL_ITERATIONS, STILL_SHARE, mean_pressure
from usina.apps.cfd.gate import Gate, at_least, at_most
from usina.apps.cfd.particles import Shape

FROM_BELOW: Final = frozenset({"cells_per_diameter", "core_length", "slope_fit"})
"""Gates whose limit is the least; that of all others is the most, in size."""

BESIDE: Final = frozenset({"ergun_range"})
"""Gates of a correlation that is only shown beside: Ergun's knows no wall, and whether it holds
says nothing of the figures that were computed."""

LEAST_CELLS: Final = 16.0
MOST_NON_ORTHOGONALITY: Final = 70.0
MOST_SKEWNESS: Final = 4.0
MOST_IMBALANCE: Final = 0.001
LEAST_FIT: Final = 0.97
LEAST_CORE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Reference:
    """What the literature says of the same bed."""

    reynolds: float
    ergun: Estimate
    eisfeld_schnitzlein: Estimate


def bed_of(shape: Shape, layout: Layout) -> Bed:
    """The bed as correlations see it: by the geometry's porosity, never the mesh's, since contacts
    that a mesh has closed are still in the bed."""
    size = shape.sauter_diameter_m * (1 - layout.option.shrink)
    return Bed(layout.porosity, size, layout.diameter_m)


def refer(shape: Shape, layout: Layout, fluid: Fluid, velocity: float) -> Reference:
    bed = bed_of(shape, layout)
    flow = Flow(fluid.density_kg_m3, fluid.viscosity_pa_s, velocity)
    return Reference(
        particle_reynolds(bed, flow),
        ergun(bed, flow),
        eisfeld_schnitzlein(bed, flow, kind_of(shape)),
    )


def tell(
    layout: Layout,
    fluid: Fluid,
    velocity: float,
    reference: Reference,
    quality: MeshQuality,
    slope: Slope,
    monitor: Monitor,
    iterations: int,
) -> dict[str, Any]:
    """One row of the report's ``results``."""
    drop = mean_pressure(monitor, fluid.density_kg_m3)
    gates = [
        *mesh_gates(layout, quality),
        *_flow_gates(layout, slope, monitor),
        _range("ergun_range", reference.ergun),
        _range("eisfeld_schnitzlein_range", reference.eisfeld_schnitzlein),
    ]
    return {
        "velocity_m_s": velocity,
        "reynolds": reference.reynolds,
        "pressure_drop_pa": drop,
        "pressure_gradient_pa_m": slope.gradient_pa_m,
        "bed_gradient_pa_m": drop / layout.top_m,
        "ergun_pa_m": reference.ergun.value,
        "eisfeld_schnitzlein_pa_m": reference.eisfeld_schnitzlein.value,
        "porosity_geometry": layout.porosity,
        "porosity_mesh": slope.porosity,
        "cells": quality.cells,
        "iterations": iterations,
        "profile": {
            "height_m": slope.heights_m.round(9).tolist(),
            "pressure_pa": slope.pressures_pa.tolist(),
        },
        "gates": [gate.as_json() for gate in gates],
    }


def worst(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """By gate the value of the velocity that keeps it least, which the gates of the manifest are
    judged by; none of a gate whose value could not be found somewhere."""
    values: dict[str, list[float | None]] = {}
    for row in rows:
        for gate in row["gates"]:
            values.setdefault(gate["name"], []).append(gate["value"])
    return {
        name: min(known) if name in FROM_BELOW else max(map(abs, known))
        for name, found in values.items()
        if len(known := [value for value in found if value is not None]) == len(found)
    }


def mesh_gates(layout: Layout, quality: MeshQuality) -> list[Gate]:
    return [
        at_least(
            "cells_per_diameter",
            layout.cells_per_diameter,
            LEAST_CELLS,
            "Gaps between particles are resolved well enough for a pressure drop.",
            "The mesh is too coarse: gaps close and the pressure drop is up to three times too "
            "high. Raise mesh.cells_per_diameter or mesh.surface_level.",
        ),
        at_most(
            "mesh_checks",
            quality.failed,
            0,
            "OpenFOAM's own checks of the mesh pass.",
            "OpenFOAM's own checks of the mesh fail; see checkMesh in the log.",
        ),
        at_most(
            "non_orthogonality",
            quality.non_orthogonality,
            MOST_NON_ORTHOGONALITY,
            "The most skewed angle between cells, in degrees, is one that the schemes stand.",
            "Some cells lean so much, in degrees, that the pressure there can not be trusted.",
        ),
        at_most(
            "skewness",
            quality.skewness,
            MOST_SKEWNESS,
            "No cell is twisted beyond what the schemes stand.",
            "Some cells are so twisted that the flow there can not be trusted.",
        ),
        at_most(
            "regions",
            quality.regions,
            1,
            "All of the fluid hangs together.",
            "The mesh falls into pieces that no flow connects.",
        ),
    ]


def _flow_gates(layout: Layout, slope: Slope, monitor: Monitor) -> list[Gate]:
    return [
        at_most(
            "mass_balance",
            monitor.imbalance(STILL_ITERATIONS),
            MOST_IMBALANCE,
            "What enters leaves.",
            "What enters and what leaves differ: the solution is not done.",
        ),
        at_most(
            "stationary",
            monitor.drift(STILL_ITERATIONS),
            STILL_SHARE,
            f"The pressure drop stood still over the last {STILL_ITERATIONS} iterations.",
            f"The pressure drop still moved over the last {STILL_ITERATIONS} iterations; raise "
            "max_iterations, or the flow is not steady at this velocity.",
        ),
        at_least(
            "core_length",
            (layout.core_high_m - layout.core_low_m) / layout.particle_m if layout.has_core else 0,
            LEAST_CORE,
            "The bed has a core, in particle diameters, that its ends do not reach.",
            "The bed is too low for a core that its ends do not reach: its middle half is taken.",
        ),
        at_least(
            "slope_fit",
            slope.fit,
            LEAST_FIT,
            "The pressure falls along the core as a line does (coefficient of determination).",
            "The pressure does not fall along the core as a line does: the bed is too short or too "
            "uneven for one gradient.",
        ),
    ]


def _range(name: str, estimate: Estimate) -> Gate:
    """How many of a correlation's bounds are broken."""
    broken = sum(not bounds.held for bounds in estimate.bounds)
    return Gate(name, estimate.in_range, float(broken), 0.0, estimate.message)
