"""What bed-flow-openfoam stands on: its mesh made finer, and its pressure drop by velocity."""

import math
from collections.abc import Sequence
from functools import cache, partial
from typing import Final

from usina.apps.cfd.plot import Chart, Line
from usina.apps.cfd.verification.part import Part, Row
from usina.apps.cfd.verification.program import run

MODEL: Final = "bed-flow-openfoam"
_AIR: Final = {"density_kg_m3": 1.2, "viscosity_pa_s": 1.8e-5}
_MESHES: Final = {8: (8, 0), 12: (12, 0), 16: (8, 1), 24: (12, 1)}
"""Cells along a particle's surface: the mesh's own, and how often they are halved there."""

_VELOCITIES: Final = (0.015, 0.03, 0.1, 0.3, 1.0)


@cache
def _bed() -> bytes:
    """A hundred and fifty spheres of 10 mm in a tube of 50 mm."""
    params = {
        "diameter_m": 0.05,
        "particle_diameter_m": 0.01,
        "particle_count": 150,
        "height_m": 0.2,
        "seed": 1,
        "preview_pixels": 100,
    }
    return run("packed-bed-v1", params)[1]


def _flow(case: str, fineness: int, velocity: float) -> Row:
    cells, level = _MESHES[fineness]
    mesh = {"cells_per_diameter": cells, "surface_level": level}
    params = {"fluid": _AIR, "velocity_m_s": velocity, "diameter_m": 0.05, "mesh": mesh}
    report, _ = run(MODEL, params, _bed())
    [result] = report["results"]
    return Row(
        case,
        result["pressure_gradient_pa_m"],
        result["eisfeld_schnitzlein_pa_m"],
        0.25 if fineness >= 16 else None,
        {"fineness": fineness},
        {
            "Re_p": result["reynolds"],
            "Ergun": result["ergun_pa_m"],
            "porosity of the mesh": result["porosity_mesh"],
            "cells": result["cells"],
        },
    )


def _mesh_chart(rows: Sequence[Row]) -> Chart:
    mine = sorted((row.at["fineness"], row.computed, row.expected or math.nan) for row in rows)
    fineness, computed, expected = zip(*mine, strict=True)
    return Chart(
        "Pressure gradient by the fineness of the mesh",
        "cells across a particle, at its surface",
        "Pa/m at 0.1 m/s",
        (
            Line(fineness, computed, "computed"),
            Line(fineness, expected, "Eisfeld and Schnitzlein", "dashed"),
        ),
    )


def _drop_chart(rows: Sequence[Row]) -> Chart:
    mine = sorted(
        (row.more["Re_p"], row.computed, row.expected or math.nan, row.more["Ergun"])
        for row in rows
    )
    reynolds, computed, eisfeld, ergun = zip(*mine, strict=True)
    return Chart(
        "Pressure gradient by velocity",
        "particle Reynolds number",
        "Pa/m",
        (
            Line(reynolds, computed, "computed", "dots"),
            Line(reynolds, eisfeld, "Eisfeld and Schnitzlein", "dashed"),
            Line(reynolds, ergun, "Ergun", "dashed"),
        ),
        x_logarithmic=True,
        y_logarithmic=True,
    )


_SOURCE = "Eisfeld and Schnitzlein, Chemical Engineering Science 56 (2001) 4321-4329"

PARTS: Final = (
    Part(
        "mesh",
        "OpenFOAM's mesh made finer",
        "One bed at one velocity on meshes of 8, 12, 16 and 24 cells across a particle at its "
        "surface. The coarse ones close pores near contacts; only from 16 on is the figure held to "
        "a tolerance.",
        _SOURCE,
        "Pa/m",
        {str(fineness): partial(_flow, f"{fineness} cells", fineness, 0.1) for fineness in _MESHES},
        _mesh_chart,
    ),
    Part(
        "velocity",
        "OpenFOAM's pressure drop by velocity",
        "The same bed with 16 cells across a particle, from creeping flow to where its wakes are "
        "no longer steady.",
        _SOURCE,
        "Pa/m",
        {
            f"{velocity:g}": partial(_flow, f"{velocity:g} m/s", 16, velocity)
            for velocity in _VELOCITIES
        },
        _drop_chart,
    ),
)
