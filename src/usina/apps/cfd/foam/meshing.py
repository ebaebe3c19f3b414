"""The mesh of a bed: made here, or taken from a job that has made it.

A mesh depends on the particles, the tube and the parameter ``mesh``, and on nothing of fluid or
velocity. So a job of ``bed-mesh-openfoam`` makes it once, and every flow through that bed takes it.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from usina.apps.cfd.foam.case import SURFACE, write_case
from usina.apps.cfd.foam.checkpoint import State
from usina.apps.cfd.foam.layout import Layout, lay_out
from usina.apps.cfd.foam.log import MeshQuality
from usina.apps.cfd.foam.mesh import begin_fields, make_mesh, parts_for
from usina.apps.cfd.foam.mesh_file import NAME, Meshed, Origin, Subject, read_mesh, write_mesh
from usina.apps.cfd.foam.option import Option, read_option
from usina.apps.cfd.foam.outcome import mesh_gates, worst
from usina.apps.cfd.foam.poly_mesh import read_poly_mesh, write_poly_mesh
from usina.apps.cfd.foam.workshop import Workshop, working
from usina.apps.cfd.particles import Particles, read_particles
from usina.apps.cfd.surface import write_stl
from usina_runner import Job

MESHED: Final = 0.25
"""The progress of a flow whose solver may begin."""

_POLY: Final = "constant/polyMesh"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job is about; ``bed`` is the file of the particles."""

    bed: Path
    particles: Particles
    layout: Layout
    option: Option

    @property
    def subject(self) -> Subject:
        return Subject.of(self.bed, self.layout)


def mesh_bed(job: Job) -> None:
    """The program of ``bed-mesh-openfoam``: a bed's mesh, and what it is good for."""
    option = read_option(job.params)
    with job.stage("bed", upto=0.01):
        particles = read_particles(job.inputs["bed"][0])
        layout = lay_out(particles, option)
    wanted = Wanted(job.inputs["bed"][0], particles, layout, option)
    with working(job, option.silence_seconds) as shop:
        quality, seconds = _make(job, shop, wanted, 0.95)
        with job.stage("package", upto=0.99):
            hand_on(job, shop, wanted, quality, seconds)
    told = [gate.as_json() for gate in mesh_gates(layout, quality)]
    for name, value in worst([{"gates": told}]).items():
        job.metric(name, value)
    job.report(
        {
            "mesh": quality.as_json(),
            "cells_per_diameter": layout.cells_per_diameter,
            "porosity_geometry": layout.porosity,
            "diameter_m": layout.diameter_m,
            "openfoam": shop.installation.version,
            "gates": told,
        }
    )


def begin(job: Job, shop: Workshop, wanted: Wanted, mark: str) -> State:
    """A case whose solver may start: on the mesh of the input ``mesh``, else on one made here."""
    parts = parts_for(wanted.layout, job.cores)
    given = job.inputs.get("mesh")
    taken = _take(job, shop, wanted, given[0]) if given else None
    if taken is None:
        quality, seconds = _make(job, shop, wanted, MESHED)
        source = _told(Origin(job.id, seconds), None)
    else:
        (quality, origin), spent = taken
        source = _told(origin, spent)
    with job.stage("first fields", upto=MESHED):
        begin_fields(shop, parts)
    job.metric("cells", quality.cells)
    return State(mark, parts, quality.as_json(), source, shop.installation.version)


def hand_on(job: Job, shop: Workshop, wanted: Wanted, quality: MeshQuality, seconds: float) -> None:
    """``mesh.zip`` of the mesh that was made."""
    mesh = read_poly_mesh(shop.folder / _POLY)
    version, origin = shop.installation.version, Origin(job.id, round(seconds, 3))
    write_mesh(job.outputs / NAME, Meshed(wanted.subject, version, quality, origin, mesh))
    job.artifact(NAME, "data")


def _make(job: Job, shop: Workshop, wanted: Wanted, upto: float) -> tuple[MeshQuality, float]:
    began = time.monotonic()
    layout = wanted.layout
    with job.stage("meshing", upto=upto):
        _write(shop, wanted)
        parts = parts_for(layout, job.cores)
        job.log("info", f"Meshing some {layout.estimated_cells} cells in {parts} part(s).")
        start = job.fraction
        quality = make_mesh(
            shop, parts, tell=lambda share: job.progress(start + share * (upto - start))
        )
    return quality, time.monotonic() - began


def _take(
    job: Job, shop: Workshop, wanted: Wanted, path: Path
) -> tuple[tuple[MeshQuality, Origin], float] | None:
    """What the mesh is and how long it took to take it; null where another OpenFOAM made it."""
    began = time.monotonic()
    with job.stage("taking the mesh", upto=MESHED):
        found = read_mesh(path, wanted.subject)
        installed = shop.installation
        if found.openfoam != installed.version:
            job.log(
                "warning",
                f"The mesh was made by OpenFOAM {found.openfoam}, this is {installed.version}: "
                "it is made anew.",
            )
            return None
        _write(shop, wanted)
        write_poly_mesh(shop.folder / _POLY, found.mesh, long_labels=installed.long_labels)
        job.log(
            "info",
            f"The mesh of {found.quality.cells} cells is that of job {found.origin.job_id}, which "
            f"took {found.origin.seconds:.1f} s to make it.",
        )
    return (found.quality, found.origin), time.monotonic() - began


def _write(shop: Workshop, wanted: Wanted) -> None:
    """The case and the particles' surface."""
    option = wanted.option
    write_case(shop.folder, wanted.layout, option.fluid, option.velocity_m_s[0])
    surface = shop.folder / "constant" / "triSurface" / SURFACE
    write_stl(surface, wanted.particles, shrink=option.mesh.shrink)


def _told(origin: Origin, spent: float | None) -> dict[str, Any]:
    """As the report has it; ``spent`` are the seconds that taking it took, null for one's own."""
    reused = spent is not None
    return {
        "job_id": origin.job_id,
        "reused": reused,
        "meshing_seconds": round(origin.seconds, 3),
        "saved_seconds": round(origin.seconds - spent, 3) if spent is not None else 0.0,
    }
