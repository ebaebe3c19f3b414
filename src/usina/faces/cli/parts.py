"""`usina api`, `usina worker`, `usina beat`: the parts, for many machines."""

from typing import Annotated

import typer

from usina.faces.cli.failure import CommandError
from usina.faces.cli.output import JsonFlag
from usina.faces.cli.setting import DataOption, settings_with


def api(
    host: Annotated[str | None, typer.Option(metavar="H", help="127.0.0.1 unless told.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, metavar="N", help="8000; 0 takes a free one.")
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, metavar="N", help="50051; 0 takes a free one."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Serve the API of a distributed platform.

    Needs DATABASE_URL, REDIS_URL and USINA_STORAGE_URL. Prints `ready http://H:N` when it is.
    """
    from usina.api import api as serve

    raise typer.Exit(serve(settings_with(host=host, port=port, grpc_port=grpc_port)))


def worker(
    data: DataOption = None,
    queues: Annotated[
        str | None, typer.Option(metavar="Q", help="Of default,gpu,io; all unless told.")
    ] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Jobs at a time; one per core.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Run jobs of a distributed platform.

    Needs DATABASE_URL, REDIS_URL and USINA_STORAGE_URL. Prints `ready` and its id when it is at
    work. TERM or Ctrl-C hands running jobs back and ends it.
    """
    from usina.kernel.queue import QUEUES
    from usina.worker import work

    served = list(QUEUES) if queues is None else [name.strip() for name in queues.split(",")]
    if unknown := sorted(set(served) - set(QUEUES)):
        known = ", ".join(QUEUES)
        raise CommandError(f"--queues: there is no queue {unknown[0]!r}; there are {known}.")
    raise typer.Exit(work(settings_with(data=data, slots=slots), served))


def beat(json: JsonFlag = False) -> None:
    """Turn the clockwork of a distributed platform: schedules, retention, sweeps, rescue.

    Needs DATABASE_URL, REDIS_URL and USINA_STORAGE_URL. Two of them do no harm.
    """
    from usina.beat import beat as turn

    raise typer.Exit(turn(settings_with()))
