"""`usina run`: one call from files to artifacts."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.output import JsonFlag, show_one

if TYPE_CHECKING:
    from collections.abc import Generator

    from pydantic import JsonValue

    from usina_client import Client, InputValue, Job, Model


def run(
    model: Annotated[str, typer.Argument(help="A model of the catalogue: see `usina models`.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT=FILE]...", help="The model's inputs, a file or an id each."),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="K=V", help="A parameter; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Where the artifacts go; ./MODEL-JOBID unless told."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the job's id and go.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0.0, metavar="S", help="Wait at most so many seconds.")
    ] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Take an earlier result of the same work, if any.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail when a gate of the model is not passed.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """From files to artifacts: submit a job, follow it, fetch what it made.

    The paths of the artifacts are printed. Ctrl-C leaves the job running.
    """
    from usina.faces.cli.ending import default_folder, see_through
    from usina.faces.cli.parameter import read_inputs, read_params
    from usina.faces.cli.platform import find

    address = find()
    with address.client() as client:
        entry = entry_of(client, model)
        params, files = read_params(entry, param or []), read_inputs(entry, inputs or [])
        job = _submit(client, entry, params, files, strict=strict, reuse=reuse)
    if no_wait:
        show_one(job.model_dump(mode="json"), job.id)
        return
    see_through(address, job, out or default_folder(job), timeout)


def entry_of(client: "Client", name: str) -> "Model":
    """The model of that name; where there is none, the error says which are like it."""
    import difflib

    from usina_client import NotFoundError

    try:
        return client.models.get(name)
    except NotFoundError as error:
        names = [model.name for model in client.models.list()]
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        error.add_note(
            f"There is no model {name!r}. "
            + (
                f"Did you mean {' or '.join(close)}?"
                if close
                else f"There are: {', '.join(names)}."
            )
        )
        raise


def _submit(
    client: "Client",
    model: "Model",
    params: "dict[str, JsonValue]",
    inputs: "dict[str, InputValue | list[InputValue]]",
    *,
    strict: bool,
    reuse: bool,
) -> "Job":
    """The job, submitted."""
    from usina.faces.cli.board import board

    with board() as shown:
        row = shown.row(model.name)

        def on_upload(sent: int, total: int | None) -> None:
            row.show("uploading", sent / total if total else None)

        with explained(model):
            return client.jobs.submit(
                model.name, params, inputs, strict=strict, reuse=reuse, on_upload=on_upload
            )


@contextmanager
def explained(model: "Model", below: str = "") -> "Generator[None]":
    """A refusal of the job, which stands ``below`` in the request, says what the model takes."""
    from usina.faces.cli.parameter import explain
    from usina_client import InvalidRequestError

    try:
        yield
    except InvalidRequestError as error:
        explain(error, (place.pointer.removeprefix(below) for place in error.errors), model)
        raise
