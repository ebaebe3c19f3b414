"""`usina beds`: packed beds, and simulations of the flow through them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usina.faces.cli.output import (
    JsonFlag,
    show,
    show_json,
    show_list,
    show_one,
    show_pairs,
    show_table,
    size,
)

if TYPE_CHECKING:
    from usina_client import Bed, Client, FlowResult, Simulation

app = typer.Typer(
    help="Beds: list, show, create, files, simulate, watch, cancel, delete.", no_args_is_help=True
)

BedId = Annotated[str, typer.Argument(metavar="BED", help="The bed's id.")]
SimulationId = Annotated[str, typer.Argument(metavar="SIMULATION", help="The simulation's id.")]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="K=V",
        help="A field, such as particle_count=300 or packing.friction=0.4; may be repeated.",
    ),
]


@app.command("list")
def list_beds(json: JsonFlag = False) -> None:
    """List the beds, the newest first."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        beds = list(client.beds.list())
    show_list(
        beds,
        ("BED", "NAME", "STATUS", "POROSITY"),
        lambda bed: (bed.id, bed.name, bed.status or "-", _figure(bed.porosity)),
    )


@app.command("show")
def show_bed(bed_id: BedId, json: JsonFlag = False) -> None:
    """Show a bed and its simulations."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        bed = client.beds.get(bed_id)
        simulations = list(client.simulations.list(bed=bed_id))
    if json:
        show_json(bed.model_dump(mode="json") | {"simulations": [_dump(s) for s in simulations]})
        return
    show_pairs(_pairs(bed))
    if simulations:
        show("", "Simulations:")
        show_table(
            ("SIMULATION", "SOLVER", "STATUS"),
            [(each.id, each.solver, each.status) for each in simulations],
        )


@app.command("create")
def create_bed(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True, dir_okay=False, help="A .bed text, a plan as JSON, or particles as CSV."
        ),
    ] = None,
    param: Fields = None,
    json: JsonFlag = False,
) -> None:
    """Make a bed and print its id; its generation has started."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        plan = _plan_in(file) | _fields(param)
        bed = client.beds.create(name, plan)
        if file is not None and file.suffix != ".json":
            _take(client, bed, file)
            bed = client.beds.get(bed.id)
    show_one(bed.model_dump(mode="json"), bed.id)


@app.command("files")
def list_files(
    bed_id: BedId,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Fetch them into this folder.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """List a bed's files, or fetch them."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        files = list(client.beds.files(bed_id))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            show(*(str(client.beds.download(bed_id, file, out)) for file in files))
            return
    show_list(
        files,
        ("NAME", "ORIGIN", "SIZE", "FILE"),
        lambda file: (file.name, file.origin, size(file.size_bytes), file.id),
    )


@app.command("simulate")
def simulate_bed(
    bed_id: BedId,
    solver: Annotated[str | None, typer.Option(help="A model that takes a bed.")] = None,
    velocity: Annotated[
        list[float] | None, typer.Option(metavar="M/S", help="Superficial; may be repeated.")
    ] = None,
    param: Fields = None,
    json: JsonFlag = False,
) -> None:
    """Simulate the flow through a bed and print the simulation's id. `-p mesh.resolution=12` and
    `-p fluid.density_kg_m3=1000` say the rest."""
    from usina.faces.cli.platform import find

    fields = _fields(param)
    if unknown := fields.keys() - {"mesh", "fluid"}:
        raise typer.BadParameter(f"{min(unknown)} is none of mesh.*, fluid.*", param_hint="--param")
    asked = velocity[0] if velocity and len(velocity) == 1 else velocity
    with find().client() as client:
        simulation = client.beds.simulate(bed_id, solver=solver, velocity_m_s=asked, **fields)
    show_one(_dump(simulation), simulation.id)


@app.command("watch")
def watch_simulation(
    simulation_id: SimulationId,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Fetch the artifacts into this folder.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Follow a simulation to its end, and print what it has found."""
    from usina.faces.cli.board import board
    from usina.faces.cli.failure import CommandError, ExitCode
    from usina.faces.cli.platform import find

    with find().client() as client:
        with board() as shown:
            row = shown.row("flow")
            simulation = client.simulations.get(simulation_id)
            for simulation in client.simulations.watch(simulation_id):
                row.show(_doing(simulation), simulation.progress)
        if simulation.error is not None:
            words = f"Simulation {simulation.id} {simulation.status}: {simulation.error}"
            raise CommandError(words, code="job_failed", exit_code=ExitCode.JOB_FAILED)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            for artifact in simulation.artifacts:
                client.artifacts.download(artifact, out)
    if json:
        show_json(_dump(simulation))
    else:
        show_table(("VELOCITY", "RE", "DROP", "GRADIENT", "GATES"), _rows(simulation.results))


@app.command("cancel")
def cancel_simulation(simulation_id: SimulationId, json: JsonFlag = False) -> None:
    """Stop a simulation."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        simulation = client.simulations.cancel(simulation_id)
    show_one(_dump(simulation), simulation.id)


@app.command("delete")
def delete_bed(bed_id: BedId, json: JsonFlag = False) -> None:
    """Delete a bed with its files, its simulations and their jobs."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        client.beds.delete(bed_id)
    show_one({"id": bed_id, "deleted": True}, bed_id)


def _plan_in(file: Path | None) -> dict[str, Any]:
    """The fields of a plan in JSON; nothing of another file, which the platform reads."""
    from json import JSONDecodeError, loads

    if file is None or file.suffix != ".json":
        return {}
    try:
        return dict(loads(file.read_text("utf-8")))
    except (JSONDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise typer.BadParameter(f"{file} is no JSON object: {error}") from None


def _take(client: "Client", bed: "Bed", file: Path) -> None:
    """A bed whose file is refused is not left behind."""
    try:
        client.beds.upload(bed.id, file)
    except Exception:
        client.beds.delete(bed.id)
        raise


def _fields(pairs: list[str] | None) -> dict[str, Any]:
    """`packing.friction=0.4` as `{"packing": {"friction": 0.4}}`; what is no JSON is a text."""
    from json import JSONDecodeError, loads

    found: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not of the form K=V.", param_hint="--param")
        group, dot, name = key.partition(".")
        try:
            value = loads(text)
        except JSONDecodeError:
            value = text
        if dot:
            found.setdefault(group, {})[name] = value
        else:
            found[key] = value
    return found


def _pairs(bed: "Bed") -> list[tuple[str, str]]:
    shape = f"{bed.particle_shape}s of {bed.particle_diameter_m:g} m"
    return [
        ("bed", bed.id),
        ("name", bed.name),
        ("status", bed.status or "its job was deleted"),
        ("tube", f"{bed.diameter_m:g} m wide, {bed.height_m:g} m high"),
        ("particles", f"{shape}, by {bed.generator}"),
        ("porosity", f"{_figure(bed.porosity)} (core), {_figure(bed.porosity_bulk)} (whole)"),
        ("job", bed.job_id or "-"),
    ]


def _doing(simulation: "Simulation") -> str:
    solving = simulation.solving
    if solving is None or solving.pressure_drop_pa is None:
        return simulation.stage or simulation.status.lower()
    return f"{solving.velocity_m_s:g} m/s, {solving.pressure_drop_pa:.4g} Pa so far"


def _rows(results: "list[FlowResult]") -> list[tuple[str, ...]]:
    return [
        (
            f"{each.velocity_m_s:g} m/s",
            f"{each.reynolds:.3g}",
            f"{each.pressure_drop_pa:.4g} Pa",
            f"{each.pressure_gradient_pa_m:.4g} Pa/m",
            ", ".join(gate.name for gate in each.gates if not gate.ok) or "all kept",
        )
        for each in results
    ]


def _dump(simulation: "Simulation") -> dict[str, Any]:
    return simulation.model_dump(mode="json")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
