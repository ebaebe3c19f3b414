"""`usina runner`: a program of one's own, examined and run by hand, without a platform."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from usina.faces.cli.add_cog import add_cog
from usina.faces.cli.failure import CommandError, ExitCode
from usina.faces.cli.output import JsonFlag, say, show_json, show_table

if TYPE_CHECKING:
    from usina.kernel.registry import Model
    from usina.kernel.runners.bench import InputFile
    from usina.kernel.runners.check.case import Case
    from usina.kernel.runners.check.finding import Finding

app = typer.Typer(help="Runner folders: check, run, add.", no_args_is_help=True)
app.command("add-cog")(add_cog)

_STYLES: Final = {"passed": "green", "failed": "bold red", "not checked": "yellow"}

Folder = Annotated[
    Path,
    typer.Argument(
        exists=True, file_okay=False, metavar="FOLDER", help="The folder of a runner.toml."
    ),
]
Pairs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[INPUT=FILE]...", help="The program's inputs, a file each."),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="K=V", help="A parameter; may be repeated."),
]


@app.command("check")
def check_runner(
    folder: Folder,
    inputs: Pairs = None,
    param: Params = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="CHECK", help="Only this check; may be repeated."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="S", help="Bound each run; the manifest's unless told."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Hold a program to the contract, by really running it.

    It is tried with the folder's examples/*.json, or with the inputs and parameters given here.
    Exits with 0 when no check failed.
    """
    from usina.faces.cli.board import board
    from usina.faces.cli.loop import finish
    from usina.kernel.runners.check.suite import examine

    wanted = _known(only or [])
    given = _given(folder, inputs or [], param or [])
    with board() as shown:
        row = shown.row(folder.resolve().name)
        found = finish(
            examine(
                folder,
                given,
                timeout_seconds=timeout,
                only=wanted,
                environment=_environment(),
                devices=_devices(),
                begun=row.show,
            )
        )
        row.show("done", 1.0)
    _show(folder, found, json)
    failed = any(each.verdict == "failed" for each in found)
    raise typer.Exit(ExitCode.ERROR if failed else ExitCode.OK)


@app.command("run")
def run_runner(
    folder: Folder,
    inputs: Pairs = None,
    param: Params = None,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Where the artifacts go; ./NAME-JOBID unless told."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="S", help="The time it has; the manifest's unless told."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run a program once, without a platform, as a worker would run it.

    Its log goes to stderr while it works; the paths of its artifacts are printed.
    """
    from usina.faces.cli.by_hand import Order, perform

    model = _model(folder)
    request = _case(model, inputs or [], param or []).request(model.form)
    perform(Order(model.manifest, request, out, timeout, _environment(), _devices()))


def _model(folder: Path) -> "Model":
    """The folder's program, which can run here; else the error says why not."""
    from usina.kernel.errors import Invalid
    from usina.kernel.registry import model_of
    from usina.kernel.runners.manifest import ManifestError, load_manifest

    try:
        model = asyncio.run(model_of(load_manifest(folder, _environment())))
    except ManifestError as error:
        raise CommandError(str(error), code="bad_manifest") from None
    if not model.available:
        raise Invalid(model.unavailable_reason or "It can not run here.", code="model_unavailable")
    return model


def _files(model: "Model", pairs: list[str]) -> "dict[str, list[InputFile]]":
    """Looked at as uploads are."""
    from usina.faces.cli.parameter import read_files
    from usina.kernel.runners.bench import InputFile

    return {
        name: [InputFile.of(path) for path in paths]
        for name, paths in read_files(model, pairs).items()
    }


def _given(folder: Path, pairs: list[str], params: list[str]) -> "Case | None":
    """What stands on the command line, as one case; raises what the platform would refuse."""
    return _case(_model(folder), pairs, params) if pairs or params else None


def _case(model: "Model", pairs: list[str], params: list[str]) -> "Case":
    """A request that the platform would take; raises what it would refuse."""
    from usina.faces.cli.parameter import explain, read_params
    from usina.kernel.errors import Invalid
    from usina.kernel.runners.check.case import Case

    case = Case("given", read_params(model, params), _files(model, pairs))
    try:
        case.request(model.form)
    except Invalid as error:
        explain(error, (place.pointer for place in error.errors), model)
        raise
    return case


def _known(names: list[str]) -> list[str]:
    """The names of checks, each of which there is."""
    import difflib

    from usina.kernel.runners.check.suite import CHECKS, MANIFEST

    known = [MANIFEST, *(check.name for check in CHECKS)]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=2)
            help_ = (
                f"Did you mean {' or '.join(close)}?"
                if close
                else f"There are: {', '.join(known)}."
            )
            raise typer.BadParameter(f"There is no check {name!r}. {help_}", param_hint="--only")
    return names


def _environment() -> dict[str, str]:
    """What a worker shows a program of the settings, where its manifest asks for it."""
    from usina.faces.cli.setting import settings_with

    settings = settings_with()
    return {**settings.homes(), "USINA_MAX_IMAGE_PIXELS": str(settings.max_image_pixels)}


def _devices() -> tuple[str, ...]:
    """The GPUs that a worker here would lend to jobs."""
    from usina.faces.cli.setting import settings_with
    from usina.kernel.worker.machine import this_machine

    settings = settings_with()
    return this_machine(settings.slots, settings.memory_bytes, settings.gpus).gpus


def _show(folder: Path, found: "list[Finding]", json: bool) -> None:
    count = {
        verdict: sum(each.verdict == verdict for each in found)
        for verdict in ("passed", "failed", "not checked")
    }
    if json:
        fields = ("name", "sentence", "verdict", "why")
        show_json(
            {
                "folder": str(folder.resolve()),
                **{verdict.replace(" ", "_"): number for verdict, number in count.items()},
                "checks": [
                    {field: getattr(each, field) for field in fields}
                    | {"seconds": round(each.seconds, 3)}
                    for each in found
                ],
            }
        )
        return
    rows = [
        (each.name, each.verdict, each.sentence if each.verdict == "passed" else each.why)
        for each in found
    ]
    show_table(("CHECK", "OUTCOME", "WHAT HOLDS, OR WHY NOT"), rows, _STYLES)
    say(", ".join(f"{number} {verdict}" for verdict, number in count.items()))
