"""`usina up`: the embedded platform."""

from typing import Annotated

import typer

from usina.faces.cli.output import JsonFlag
from usina.faces.cli.setting import DataOption


def up(
    data: DataOption = None,
    host: Annotated[str | None, typer.Option(metavar="H", help="127.0.0.1 unless told.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, metavar="N", help="8000; 0 takes a free one.")
    ] = None,
    grpc_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, metavar="N", help="50051; 0 takes a free one.")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Jobs at a time; one per core.")
    ] = None,
    idle_exit: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="S", help="Leave after so many seconds without work."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Start the platform: API and worker in one process.

    Prints `ready http://H:N` when it is. TERM or Ctrl-C hands running jobs back and ends it.
    """
    from usina.faces.cli.setting import settings_with
    from usina.up import up as run_platform

    settings = settings_with(data=data, host=host, port=port, grpc_port=grpc_port, slots=slots)
    raise typer.Exit(run_platform(settings, idle_exit_seconds=idle_exit))
