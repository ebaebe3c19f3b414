"""Ergun 1952 over the porosity of the table; 99 m/s diverges, a first attempt at 88 m/s goes on."""

import csv
import math

import usina_runner


def main(job: usina_runner.Job) -> None:
    with job.inputs["bed"][0].open() as stream:
        rows = list(csv.DictReader(stream))
    told = job.params["velocity_m_s"]
    velocities = told if isinstance(told, list) else [told]
    if 99 in velocities:
        raise usina_runner.Failure("runner_failed", "diverged", "The residuals grow.", False)
    if 88 in velocities and job.attempt == 1:
        job.sleep(60)
    size = float(rows[0]["diameter_m"])
    height = max(float(row["z_m"]) for row in rows) + size / 2
    room = math.pi / 4 * job.params["diameter_m"] ** 2 * height
    porosity = 1 - len(rows) * math.pi / 6 * size**3 / room
    job.report(
        {
            "results": [result(job, velocity, size, height, porosity) for velocity in velocities],
            "residuals": {"p": [1.0, 1e-3, 1e-6]},
        }
    )


def result(
    job: usina_runner.Job, velocity: float, size: float, height: float, porosity: float
) -> dict[str, object]:
    density, viscosity = job.params["fluid"]["density_kg_m3"], job.params["fluid"]["viscosity_pa_s"]
    solid = 1 - porosity
    gradient = 150 * viscosity * solid**2 * velocity / (porosity**3 * size**2)
    gradient += 1.75 * density * solid * velocity**2 / (porosity**3 * size)
    return {
        "velocity_m_s": velocity,
        "reynolds": density * velocity * size / viscosity,
        "pressure_drop_pa": gradient * height,
        "pressure_gradient_pa_m": gradient,
        "ergun_pa_m": gradient,
        "eisfeld_schnitzlein_pa_m": gradient * 1.1,
        "porosity_geometry": porosity,
        "porosity_mesh": porosity,
        "cells": 1000,
        "gates": [
            {"name": "mass", "ok": True, "value": 0.0, "limit": 1e-3, "message": "In is out."}
        ],
    }


usina_runner.run(main)
