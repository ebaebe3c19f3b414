"""What a flow is handed over as: figures, a page for people, pictures and the velocity itself."""

from typing import Any, Final

from usina.apps.cfd.correlation import (
    Estimate,
    carman_kozeny,
    eisfeld_schnitzlein_resistance,
    ergun_resistance,
)
from usina.apps.cfd.gate import Gate
from usina.apps.cfd.lattice.answer import (
    DARCY_M2,
    INERTIA,
    Solved,
    results,
    shared_gates,
)
from usina.apps.cfd.lattice.picture import draw_cuts, draw_gradient, draw_radial, draw_settling
from usina.apps.cfd.lattice.question import Question
from usina.apps.cfd.lattice.stokes import LOOK_EVERY
from usina.apps.cfd.lattice.stream import draw_streams
from usina.apps.cfd.lattice.volume import write_volume
from usina.apps.cfd.report import Fact, Figure, Judged, Report, Section, Table, render
from usina_runner import Job

_MOST_RESIDUALS: Final = 500
_PICTURES: Final = {
    "slice.png": "preview",
    "radial_velocity.png": "image",
    "pressure_drop.png": "image",
    "convergence.png": "image",
}


def deliver(job: Job, found: Solved, question: Question) -> None:
    rows = results(found, question)
    with job.stage("pictures", upto=0.96):
        draw_cuts(job.outputs / "slice.png", found)
        draw_radial(job.outputs / "radial_velocity.png", found)
        draw_gradient(job.outputs / "pressure_drop.png", found, question)
        draw_settling(job.outputs / "convergence.png", found)
        for name, kind in _PICTURES.items():
            job.artifact(name, kind)
    with job.stage("field", upto=0.98):
        write_volume(job.outputs / "velocity.vti", found)
        job.artifact("velocity.vti", "data")
    undrawn = None
    if question.streamlines:
        with job.stage("streamlines", upto=0.985):
            undrawn = draw_streams(job, found, question)
    with job.stage("report", upto=0.99):
        page = render(_page(job, found, question, rows))
        (job.outputs / "report.html").write_text(page, "utf-8")
        job.artifact("report.html", "report")
    _tell(job, found, rows)
    told = _told(found, question, rows)
    if undrawn is not None:
        told["warnings"].append({"code": "not_drawn", "message": undrawn})
    job.report(told)


def _tell(job: Job, found: Solved, rows: list[dict[str, Any]]) -> None:
    """What the manifest's gates look at."""
    kept = {
        gate["name"]: all(each["ok"] for row in rows for each in row["gates"] if each == gate)
        for row in rows
        for gate in row["gates"]
    }
    for name in ("resolution", "convergence", "mass_conservation", "porosity", "ends"):
        job.metric(name, int(kept[name]))
    job.metric("reynolds_most", max(row["reynolds"] for row in rows))
    job.metric("permeability_m2", found.permeability_m2)


def _told(found: Solved, question: Question, rows: list[dict[str, Any]]) -> dict[str, Any]:
    piece = found.piece
    return {
        "results": rows,
        "permeability_m2": found.permeability_m2,
        "permeability_darcy": found.permeability_m2 / DARCY_M2,
        "permeability_by_correlation_m2": {
            estimate.source: estimate.value for estimate in _estimates(found)
        },
        "inertia": INERTIA,
        "tube_diameter_m": piece.tube_diameter_m,
        "tube_diameter_given": question.diameter_m is not None,
        "particle_diameter_m": piece.bed.particle_diameter_m,
        "bed_height_m": piece.bed_height_m,
        "particle_count": len(piece.particles),
        "slice_m": [piece.low_m, piece.high_m],
        "voxel_m": found.grid.voxel_m,
        "resolution": question.resolution,
        "steps": found.steps,
        "change_left": found.settling.left(),
        "residuals": _residuals(found),
        "layer_difference": found.uneven,
        "warnings": _warnings(rows),
    }


def _residuals(found: Solved) -> dict[str, list[float]]:
    """By look, as far as they fit: what was still to come of the flow."""
    left = found.settling.residuals()
    every = -(-len(left) // _MOST_RESIDUALS)
    looks = [LOOK_EVERY * look for look in range(1, len(left) + 1)]
    return {"iteration": [*map(float, looks[::every])], "flow": left[::every]}


def _warnings(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Each gate that is not kept, once, as the fastest flow has it."""
    rising = sorted(rows, key=lambda row: row["velocity_m_s"])
    broken = {
        gate["name"]: gate["message"] for row in rising for gate in row["gates"] if not gate["ok"]
    }
    return [{"code": f"gate_{name}", "message": message} for name, message in broken.items()]


def _estimates(found: Solved) -> tuple[Estimate, ...]:
    """The permeability by the literature."""
    bed, kind = found.piece.bed, found.piece.kind
    return (
        Estimate(
            eisfeld_schnitzlein_resistance(bed, kind).permeability_m2,
            "Eisfeld and Schnitzlein (2001)",
            (),
        ),
        Estimate(ergun_resistance(bed).permeability_m2, "Ergun (1952)", ()),
        carman_kozeny(bed),
    )


def _page(job: Job, found: Solved, question: Question, rows: list[dict[str, Any]]) -> Report:
    piece, first = found.piece, rows[0]
    shape = piece.particles.shape
    subtitle = (
        f"{len(piece.particles)} particles ({shape.kind}, {shape.diameter_m * 1000:.4g} mm) in a "
        f"tube of {piece.tube_diameter_m * 1000:.4g} mm, by the lattice Boltzmann method"
    )
    return Report(
        title="Permeability of a packed bed",
        subtitle=subtitle,
        facts=(
            Fact("Permeability", found.permeability_m2, "m²"),
            Fact("Permeability", found.permeability_m2 / DARCY_M2, "darcy"),
            Fact("Porosity of the core", piece.porosity),
            Fact(
                f"Pressure gradient at {first['velocity_m_s']:g} m/s",
                first["pressure_gradient_pa_m"],
                "Pa/m",
            ),
            Fact("Particle Reynolds number", first["reynolds"]),
            Fact("Fluid nodes", found.cells),
        ),
        warnings=[warning["message"] for warning in _warnings(rows)],
        sections=(
            _results_section(rows),
            _permeability_section(found),
            _flow_section(job),
            _gates_section(found, question, rows),
            _method_section(found, question),
        ),
        foot=f"Usina, {job.model} {job.model_version}",
    )


def _results_section(rows: list[dict[str, Any]]) -> Section:
    columns = {
        "velocity in m/s": "velocity_m_s",
        "Re_p": "reynolds",
        "gradient in Pa/m": "pressure_gradient_pa_m",
        "of it computed": "viscous_pa_m",
        "of it by correlation": "inertial_pa_m",
        "over the bed in Pa": "pressure_drop_pa",
        "Ergun in Pa/m": "ergun_pa_m",
        "Eisfeld-Schnitzlein in Pa/m": "eisfeld_schnitzlein_pa_m",
    }
    table = Table(tuple(columns), [[row[key] for key in columns.values()] for row in rows])
    return Section(
        "Pressure drop",
        (
            table,
            "Computed is Darcy's part, which is all there is of a creeping flow (Re_p up to 1). "
            f"What inertia adds is taken from the literature: {INERTIA}.",
        ),
    )


def _permeability_section(found: Solved) -> Section:
    rows = [["computed", found.permeability_m2, found.permeability_m2 / DARCY_M2, 1.0]]
    rows += [
        [each.source, each.value, each.value / DARCY_M2, each.value / found.permeability_m2]
        for each in _estimates(found)
    ]
    return Section(
        "Permeability",
        (
            Table(("by", "in m²", "in darcy", "over the computed one"), rows),
            "Ergun, Carman and Kozeny know no wall; Eisfeld and Schnitzlein do, which counts in "
            f"a tube of {found.piece.bed.diameter_ratio:.3g} particle diameters.",
        ),
    )


def _flow_section(job: Job) -> Section:
    captions = {
        "streamlines.png": "Streamlines through the piece that was computed, by their speed.",
        "slice.png": "The speed over the superficial velocity; grey is solid.",
        "radial_velocity.png": "Rings around the axis: how much runs there, and how empty it is.",
        "pressure_drop.png": "The pressure gradient beside both correlations.",
        "convergence.png": "The permeability from a flow at rest until it is steady.",
    }
    pictures = [
        Figure(job.outputs / name, caption)
        for name, caption in captions.items()
        if (job.outputs / name).is_file()
    ]
    return Section("The flow", pictures)


def _gates_section(found: Solved, question: Question, rows: list[dict[str, Any]]) -> Section:
    """The shared gates once, then those of each velocity."""
    shared = shared_gates(found, question)
    names = {gate.name for gate in shared}
    own: list[Any] = []
    for row in rows:
        gates = [Gate(**gate) for gate in row["gates"] if gate["name"] not in names]
        own += [f"At {row['velocity_m_s']:g} m/s:", Judged(gates)]
    return Section("May it be believed?", (Judged(shared), *own))


def _method_section(found: Solved, question: Question) -> Section:
    piece, given = found.piece, question.diameter_m is not None
    tube = "was given" if given else "is that of the narrowest tube around the particles"
    return Section(
        "How it was computed",
        (
            f"The core from z = {piece.low_m * 1000:.4g} to {piece.high_m * 1000:.4g} mm, "
            f"{question.resolution} voxels to a particle diameter, {found.cells} fluid nodes. At "
            "its two cut ends the bed goes on as its mirror image. The tube's diameter "
            f"{tube}. Stokes' flow by D3Q19 with two relaxation times (magic parameter 3/16), "
            f"half-way bounce-back at walls, {found.steps} steps until less than "
            f"{question.tolerance:g} of the flow was still to come.",
            f"Porosity: {piece.porosity:.4f} of the geometry, {found.porosity_mesh:.4f} of the "
            "voxels. The pressure drop over the bed is the core's gradient over the bed's whole "
            f"height of {piece.bed_height_m * 1000:.4g} mm.",
        ),
    )
