"""`usina files`: files by hand."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.output import JsonFlag, show, show_json, size

if TYPE_CHECKING:
    from usina_client import Artifact, Client, File

app = typer.Typer(help="Files: put, get.", no_args_is_help=True)


@app.command("put")
def put_files(
    paths: Annotated[list[str], typer.Argument(metavar="FILE...", help="`-` is standard input.")],
    name: Annotated[str | None, typer.Option(help="The name, when it is one file.")] = None,
    json: JsonFlag = False,
) -> None:
    """Upload files and print their ids."""
    from usina.faces.cli.platform import find

    if name is not None and len(paths) > 1:
        raise typer.BadParameter("One name fits one file only.", param_hint="--name")
    for path in paths:
        if path != "-" and not Path(path).is_file():
            raise typer.BadParameter(f"{path!r} is not a file.", param_hint="FILE")
    with find().client() as client:
        files = [_put(client, path, name) for path in paths]
    if json:
        show_json([file.model_dump(mode="json") for file in files])
    else:
        show(*(file.id for file in files))


@app.command("get")
def get_file(
    file_id: Annotated[str, typer.Argument(metavar="ID", help="Of a file or of an artifact.")],
    out: Annotated[
        str | None,
        typer.Option(help="A path or a folder, `-` for standard output; its own name unless told."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Fetch a file or an artifact and print its path."""
    import shutil
    from tempfile import TemporaryDirectory

    from usina.faces.cli.platform import find

    with find().client() as client:
        if out == "-":
            with TemporaryDirectory() as folder:
                _, path = _get(client, file_id, folder)
                with path.open("rb") as content:
                    shutil.copyfileobj(content, sys.stdout.buffer)
            return
        content, path = _get(client, file_id, out)
    if json:
        show_json(content.model_dump(mode="json") | {"path": str(path)})
    else:
        show(str(path))


def _put(client: "Client", path: str, name: str | None) -> "File":
    from usina.faces.cli.board import board

    content = sys.stdin.buffer if path == "-" else Path(path)
    label = name or (Path(path).name if path != "-" else "stdin")
    with board() as shown:
        row = shown.row(label)

        def on_progress(sent: int, total: int | None) -> None:
            row.show("uploading", sent / total if total else None)

        file = client.files.upload(content, name=label, on_progress=on_progress)
        row.show(f"{file.media_type}, {size(file.size_bytes)}", 1.0)
    return file


def _get(client: "Client", identity: str, to: str | None) -> "tuple[File | Artifact, Path]":
    from usina.faces.cli.board import board
    from usina_client import NotFoundError

    with board() as shown:
        row = shown.row(identity)

        def on_progress(received: int, total: int | None) -> None:
            row.show("fetching", received / total if total else None)

        try:
            file = client.files.get(identity)
        except NotFoundError:
            artifact = client.artifacts.get(identity)
            return artifact, client.artifacts.download(artifact, to, on_progress=on_progress)
        return file, client.files.download(file, to, on_progress=on_progress)
