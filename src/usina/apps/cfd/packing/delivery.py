"""The one door out: whatever way a bed was made, it is written, measured, drawn and told alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from usina.apps.cfd.packing.contact import GAP, Contacts, contacts
from usina.apps.cfd.packing.gltf import to_glb
from usina.apps.cfd.packing.picture import draw
from usina.apps.cfd.particles import Particles, write_particles
from usina.apps.cfd.plot import Chart, Line, draw_chart
from usina.apps.cfd.porosity import (
    Porosity,
    Profile,
    axial_profile,
    bulk_porosity,
    core_porosity,
    radial_profile,
    top_of,
)
from usina.apps.cfd.surface import write_stl
from usina_runner import Job

RADIAL, AXIAL = "radial-profile", "axial-profile"

_SHELLS, _SLICES = 100, 200


@dataclass(frozen=True, slots=True)
class Bed:
    """Particles in their tube, and what else the report says of how they came there."""

    particles: Particles
    diameter_m: float
    height_m: float
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    warnings: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Measures:
    core: Porosity | None
    bulk: Porosity
    contacts: Contacts
    radial: Profile
    axial: Profile


def deliver(job: Job, bed: Bed, pixels: int) -> None:
    """From a packed bed to its files, its picture and its report."""
    with job.stage("measure", upto=0.72):
        found = measure(bed)
        _profiles(job, bed, found)
    with job.stage("write", upto=0.8):
        write_particles(job.outputs / "particles.csv", bed.particles)
        job.artifact("particles.csv", "data")
        job.check_cancelled()
        faces = write_stl(job.outputs / "bed.stl", bed.particles, between=job.check_cancelled)
        job.artifact("bed.stl", "model")
        glb = to_glb(bed.particles, bed.diameter_m, bed.height_m)
        (job.outputs / "bed.glb").write_bytes(glb)
        job.artifact("bed.glb", "model")
    with job.stage("preview", upto=0.99):
        _show(job, bed, pixels)
    _tell(job, bed, found, faces)


def measure(bed: Bed) -> Measures:
    particles, across = bed.particles, bed.diameter_m
    core, bulk = core_porosity(particles, across), bulk_porosity(particles, across)
    within = core or bulk
    return Measures(
        core=core,
        bulk=bulk,
        contacts=contacts(particles, across),
        radial=radial_profile(particles, across, within.low_m, within.high_m, _SHELLS),
        axial=axial_profile(particles, across, _SLICES),
    )


def _show(job: Job, bed: Bed, pixels: int) -> None:
    drawn = draw(
        bed.particles,
        bed.diameter_m,
        bed.height_m,
        lambda share: job.progress(0.8 + 0.19 * share),
        side=pixels,
        threads=job.cores,
    )
    Image.fromarray(drawn).save(job.outputs / "preview.png", compress_level=4)
    job.artifact("preview.png", "preview")


def _profiles(job: Job, bed: Bed, found: Measures) -> None:
    """Each as CSV and as a chart."""
    size = bed.particles.shape.diameter_m
    mean = (found.core or found.bulk).value
    name = "core" if found.core else "bulk"
    _table(job.outputs / f"{RADIAL}.csv", "wall_distance_m", found.radial)
    _table(job.outputs / f"{AXIAL}.csv", "height_m", found.axial)
    draw_chart(
        job.outputs / f"{RADIAL}.png",
        Chart(
            "Porosity from the wall to the axis",
            "distance from the wall / particle diameter",
            "porosity",
            [
                Line(found.radial.place_m / size, found.radial.porosity, "this bed"),
                Line([0, bed.diameter_m / 2 / size], [mean, mean], f"{name}: {mean:.3f}", "dashed"),
            ],
            x_limits=(0, bed.diameter_m / 2 / size),
            y_limits=(0, 1),
        ),
    )
    top = found.axial.place_m[-1] / size
    draw_chart(
        job.outputs / f"{AXIAL}.png",
        Chart(
            "Porosity from the floor to the top",
            "height / particle diameter",
            "porosity",
            [
                Line(found.axial.place_m / size, found.axial.porosity, "this bed"),
                Line([0, top], [mean, mean], f"{name}: {mean:.3f}", "dashed"),
            ],
            x_limits=(0, top),
            y_limits=(0, 1),
            shaded=(found.core.low_m / size, found.core.high_m / size) if found.core else None,
        ),
    )
    for profile in (RADIAL, AXIAL):
        job.artifact(f"{profile}.csv", "data")
        job.artifact(f"{profile}.png", "image")


def _table(path: Path, place: str, profile: Profile) -> None:
    rows = zip(profile.place_m.tolist(), profile.porosity.tolist(), strict=True)
    lines = [f"{place},porosity", *(f"{where!r},{share!r}" for where, share in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def _tell(job: Job, bed: Bed, found: Measures, faces: int) -> None:
    """The report, and what the manifests' gates look at."""
    shape, touching = bed.particles.shape, found.contacts
    overlap = max(touching.overlap, touching.wall_overlap)
    job.metric("max_overlap", round(overlap, 9))
    job.metric("porosity", round((found.core or found.bulk).value, 6))
    job.report(
        {
            "porosity": found.core and round(found.core.value, 6),
            "porosity_error": round((found.core or found.bulk).error, 6),
            "porosity_bulk": round(found.bulk.value, 6),
            "core_m": found.core and [found.core.low_m, found.core.high_m],
            "particle_count": len(bed.particles),
            "particle": {
                "shape": shape.kind,
                "volume_m3": shape.volume_m3,
                "surface_m2": shape.surface_m2,
                "equivalent_diameter_m": shape.equivalent_diameter_m,
                "sphericity": shape.sphericity,
            },
            "packing_height_m": top_of(bed.particles),
            "diameter_ratio": bed.diameter_m / shape.diameter_m,
            "coordination_mean": touching.mean and round(touching.mean, 3),
            "coordination": _histogram(touching),
            "contact_gap": GAP,
            "max_overlap": overlap,
            "wall_overlap": touching.wall_overlap,
            "stl_triangles": faces,
            "profile": {
                "radial": [f"{RADIAL}.csv", f"{RADIAL}.png"],
                "axial": [f"{AXIAL}.csv", f"{AXIAL}.png"],
            },
            **bed.facts,
            "warnings": [*_warnings(found), *bed.warnings],
        }
    )


def _histogram(touching: Contacts) -> list[int] | None:
    """How many particles touch 0, 1, 2 ... others."""
    return None if touching.numbers is None else np.bincount(touching.numbers).tolist()


def _warnings(found: Measures) -> list[dict[str, str]]:
    if found.core is not None:
        return []
    return [
        {
            "code": "no_core",
            "message": "The bed is lower than three particle diameters, so it has no core: "
            "porosity is null, and only porosity_bulk is told.",
        }
    ]
