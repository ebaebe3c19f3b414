"""What a flow is handed over as: figures, a page for people, plots, fields and the case itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from usina.apps.cfd.foam.chart import draw_drop, draw_pressure, draw_residuals, draw_slice
from usina.apps.cfd.foam.checkpoint import State
from usina.apps.cfd.foam.log import MeshQuality
from usina.apps.cfd.foam.meshing import Wanted, hand_on
from usina.apps.cfd.foam.outcome import BESIDE, worst
from usina.apps.cfd.foam.package import write_package
from usina.apps.cfd.foam.workshop import Workshop
from usina.apps.cfd.gate import Gate, passed
from usina.apps.cfd.report import Fact, Figure, Judged, Report, Section, Table, number, render
from usina_runner import Job

PLANE: Final = "slice.npz"
"""In the folder of the case: the plane through the axis, see `draw_slice`."""

_MOST_ROWS: Final = 500
_PLOTS: Final = ("pressure.png", "pressure_drop.png", "residuals.png")
_FIELDS: Final = {
    "slice.png": "image",
    "streamlines.png": "preview",
    "slice.vtp": "data",
    "streamlines.vtp": "data",
    "fields.vtu": "data",
}


@dataclass(frozen=True, slots=True)
class Flowed:
    """A flow that was solved; ``rows`` are its results, ``warnings`` what a reader has to know."""

    wanted: Wanted
    state: State
    warnings: Sequence[str]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.state.done


def deliver(job: Job, shop: Workshop, flow: Flowed) -> None:
    outputs, wanted = job.outputs, flow.wanted
    with job.stage("plots", upto=0.97):
        draw_pressure(outputs / "pressure.png", flow.rows, wanted.layout)
        draw_drop(
            outputs / "pressure_drop.png",
            flow.rows,
            wanted.layout,
            wanted.particles.shape,
            wanted.option.fluid,
        )
        draw_residuals(outputs / "residuals.png", flow.state.history)
        if (shop.folder / PLANE).is_file():
            draw_slice(outputs / "slice.png", shop.folder / PLANE, wanted.layout)
        for name in _PLOTS:
            job.artifact(name, "image")
    with job.stage("package", upto=0.98):
        longest = max(row["iterations"] for row in flow.rows)
        velocities, version = wanted.option.velocity_m_s, flow.state.version
        write_package(outputs / "case.zip", shop.folder, velocities, longest, version)
        job.artifact("case.zip", "data")
        source = flow.state.source
        if not source["reused"]:
            quality, seconds = MeshQuality(**flow.state.mesh), source["meshing_seconds"]
            hand_on(job, shop, wanted, quality, seconds)
    for name, kind in _FIELDS.items():
        if (outputs / name).is_file():
            job.artifact(name, kind)
    with job.stage("report", upto=0.99):
        (outputs / "report.html").write_text(render(_page(outputs, flow, job.seconds)), "utf-8")
        job.artifact("report.html", "report")
    job.report(_told(shop, flow))


def _told(shop: Workshop, flow: Flowed) -> dict[str, Any]:
    layout = flow.wanted.layout
    history = flow.state.history
    step = max(1, -(-len(history.iterations) // _MOST_ROWS))
    return {
        "results": flow.rows,
        "solver": f"OpenFOAM {flow.state.version}, simpleFoam, laminar",
        "diameter_m": layout.diameter_m,
        "diameter_from": "parameter" if layout.told_diameter else "particles",
        "height_m": layout.top_m,
        "particle_count": len(flow.wanted.particles),
        "equivalent_diameter_m": layout.particle_m,
        "core_m": [layout.core_low_m, layout.core_high_m],
        "mesh": flow.state.mesh,
        "mesh_source": flow.state.source,
        "cells_per_diameter": layout.cells_per_diameter,
        "parts": flow.state.parts,
        "residuals": {
            "iteration": history.iterations[::step],
            **{name: values[::step] for name, values in history.residuals.items()},
        },
        "solver_seconds": round(shop.spent_seconds, 3),
        "warnings": list(flow.warnings),
    }


def _page(outputs: Path, flow: Flowed, seconds: Mapping[str, float]) -> Report:
    rows, layout, fluid = flow.rows, flow.wanted.layout, flow.wanted.option.fluid
    gates = [[Gate(**gate) for gate in row["gates"]] for row in rows]
    particles = flow.wanted.particles
    shape = particles.shape
    kept = sum(passed(gate for gate in each if gate.name not in BESIDE) for each in gates)
    subtitle = (
        f"{number(len(particles))} {shape.kind}s of {1e3 * shape.diameter_m:.4g} mm in a tube of "
        f"{1e3 * layout.diameter_m:.4g} mm; {number(fluid.density_kg_m3)} kg/m³, "
        f"{number(fluid.viscosity_pa_s)} Pa s"
    )
    last = rows[-1]
    return Report(
        "Flow through a packed bed",
        subtitle,
        [
            Fact(f"Pressure drop at {last['velocity_m_s']:g} m/s", last["pressure_drop_pa"], "Pa"),
            Fact("Pressure gradient of the core", last["pressure_gradient_pa_m"], "Pa/m"),
            Fact("Particle Reynolds number", last["reynolds"]),
            Fact("Porosity of the core", layout.porosity),
            Fact("Cells", last["cells"]),
            Fact("Velocities with all gates kept", f"{kept} of {len(rows)}"),
        ],
        [
            Section("Results", _results(rows)),
            *_pictures(outputs),
            Section("Gates", _judged(rows, gates)),
            Section("How it was found", _method(flow)),
            Section("Where the time went", _times(flow, seconds)),
        ],
        flow.warnings,
        f"bed-flow-openfoam; OpenFOAM {flow.state.version}, simpleFoam, laminar, steady.",
    )


def _results(rows: Sequence[dict[str, Any]]) -> list[str | Table]:
    columns = [
        "Velocity (m/s)",
        "Re of a particle",
        "Pressure drop (Pa)",
        "Core gradient (Pa/m)",
        "Whole bed (Pa/m)",
        "Ergun (Pa/m)",
        "Eisfeld-Schnitzlein (Pa/m)",
        "Core over E-S",
    ]
    names = (
        "velocity_m_s",
        "reynolds",
        "pressure_drop_pa",
        "pressure_gradient_pa_m",
        "bed_gradient_pa_m",
        "ergun_pa_m",
        "eisfeld_schnitzlein_pa_m",
    )
    table = [
        [*(row[name] for name in names), row["pressure_gradient_pa_m"] / row[names[-1]]]
        for row in rows
    ]
    return [
        Table(columns, table),
        "The core gradient is the slope of the pressure, averaged over slabs across the tube, "
        "between 1.5 particle diameters from the two ends of the bed. The whole bed's is the "
        "pressure drop from inlet to outlet over the height of the bed; as a rule it is lower, "
        "for the ends are loose.",
    ]


def _judged(
    rows: Sequence[Mapping[str, Any]], gates: Sequence[Sequence[Gate]]
) -> list[str | Judged]:
    """Each gate once, by the velocity that keeps it least; where some do not, with those."""
    least = worst(rows)
    shown: list[Gate] = []
    for alike in zip(*gates, strict=True):
        where: dict[str, list[str]] = {}
        for row, gate in zip(rows, alike, strict=True):
            if not gate.ok:
                where.setdefault(gate.message, []).append(f"{row['velocity_m_s']:g}")
        value = least.get(alike[0].name)
        shown += [
            replace(alike[0], ok=False, value=value, message=f"At {', '.join(at)} m/s. {message}")
            for message, at in where.items()
        ] or [replace(alike[0], value=value)]
    words = "Each was judged at every velocity; the value is the worst of them."
    return [words, Judged(shown)] if len(rows) > 1 else [Judged(gates[0])]


def _pictures(outputs: Path) -> list[Section]:
    captions = {
        "pressure.png": "Mean pressure across the tube; shaded: the core.",
        "pressure_drop.png": "Against the correlations, at the porosity of the geometry.",
        "slice.png": "Speed in the plane through the axis, at the last velocity.",
        "streamlines.png": "Streamlines through points spread over the bed, coloured by speed.",
        "residuals.png": "Initial residuals of each iteration, over all velocities.",
    }
    figures = [Figure(outputs / n, text) for n, text in captions.items() if (outputs / n).is_file()]
    return [Section("Pictures", figures)]


def _method(flow: Flowed) -> list[str | Table]:
    layout, mesh, row = flow.wanted.layout, flow.state.mesh, flow.rows[-1]
    told = "as told" if layout.told_diameter else "what the particles touch"
    source = flow.state.source
    whence = f"taken from job {source['job_id']}" if source["reused"] else "made by this job"
    facts: list[list[str | float | int | None]] = [
        ["Tube", f"{1e3 * layout.diameter_m:.5g} mm, {told}"],
        ["Height of the bed", f"{1e3 * layout.top_m:.5g} mm"],
        ["Core", f"{1e3 * layout.core_low_m:.4g} to {1e3 * layout.core_high_m:.4g} mm"],
        ["Porosity of the geometry", f"{layout.porosity:.4f}, exact, used by the correlations"],
        ["Porosity of the mesh", f"{row['porosity_mesh']:.4f}, contacts closed; shown only"],
        ["Mesh", f"{number(mesh['cells'])} cells, {whence}"],
        ["Particles made smaller by", f"{100 * layout.option.shrink:.3g} %"],
        ["Cells per particle diameter", f"{layout.cells_per_diameter:.3g} at the surface"],
        [
            "Non-orthogonality, skewness",
            f"{mesh['non_orthogonality']:.3g}°, {mesh['skewness']:.3g}",
        ],
    ]
    return [
        "Steady laminar flow by simpleFoam: second order upwind for momentum, limited gradients, "
        "uniform velocity at the inlet, pressure 0 at the outlet, no slip at the tube and the "
        "particles. A velocity is done when the pressure drop has stood still for 30 iterations.",
        Table(["What", "Value"], facts),
    ]


def _times(flow: Flowed, seconds: Mapping[str, float]) -> list[str | Table]:
    """Of this attempt, by stage; one that goes on from another's fields has not meshed."""
    rows = [[name.capitalize(), f"{spent:.1f}"] for name, spent in seconds.items()]
    source = flow.state.source
    told: list[str | Table] = [Table(["Stage", "Seconds"], rows)]
    if source["reused"]:
        told.append(
            f"The mesh was taken from job {source['job_id']}, which took "
            f"{source['meshing_seconds']:.1f} s to make it: that is "
            f"{max(0.0, source['saved_seconds']):.1f} s saved here."
        )
    return told
