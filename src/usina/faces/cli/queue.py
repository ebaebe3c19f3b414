"""`usina queues`: how much waits, and to pause it."""

from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.output import JsonFlag, say, show_list, show_one

if TYPE_CHECKING:
    from usina_client import Queue

app = typer.Typer(help="Queues: list, pause, resume.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="QUEUE", help="default, gpu or io.")]


@app.command("list")
def list_queues(json: JsonFlag = False) -> None:
    """List the queues: what waits, what runs, what is done in a minute."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        queues = list(client.queues.list())
    columns = ("QUEUE", "STATE", "WAITING", "OLDEST", "RUNNING", "PER MINUTE", "SLOTS", "WARM")
    show_list(queues, columns, _row)


@app.command("pause")
def pause_queue(name: Name, json: JsonFlag = False) -> None:
    """Have a queue give nothing out; what runs goes on."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        queue = client.queues.pause(name)
    if not json:
        say(f"It gives nothing out until `usina queues resume {name}`.")
    show_one(queue.model_dump(mode="json"), queue.name)


@app.command("resume")
def resume_queue(name: Name, json: JsonFlag = False) -> None:
    """Have a paused queue give jobs out again."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        queue = client.queues.resume(name)
    show_one(queue.model_dump(mode="json"), queue.name)


def _row(queue: "Queue") -> tuple[str, ...]:
    wait, resources = queue.oldest_wait_seconds, queue.resources
    return (
        queue.name,
        "paused" if queue.paused else "open",
        str(queue.depth),
        "-" if wait is None else f"{wait:.0f} s",
        str(queue.running),
        f"{queue.throughput.jobs_per_minute:.1f}",
        f"{resources.busy_slots} of {resources.slots} busy",
        ", ".join(warm.model for warm in queue.warm_models) or "-",
    )
