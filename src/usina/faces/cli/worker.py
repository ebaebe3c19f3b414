"""`usina workers`: who works, and to drain one."""

from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.output import JsonFlag, say, show_list, show_one

if TYPE_CHECKING:
    from usina_client import Worker

app = typer.Typer(help="Workers: list, drain, resume.", no_args_is_help=True)

WorkerId = Annotated[str, typer.Argument(metavar="WORKER", help="The worker's id.")]


@app.command("list")
def list_workers(json: JsonFlag = False) -> None:
    """List the workers that were heard of lately, the newest first."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        workers = list(client.workers.list())
    show_list(workers, ("WORKER", "MACHINE", "STATE", "SLOTS", "QUEUES", "WARM"), _row)


@app.command("drain")
def drain_worker(worker_id: WorkerId, json: JsonFlag = False) -> None:
    """Have a worker take nothing more; it finishes what runs."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        worker = client.workers.drain(worker_id)
    if not json:
        say(f"{worker.busy_slots} of its {worker.slots} slots are still busy.")
    show_one(worker.model_dump(mode="json"), worker.id)


@app.command("resume")
def resume_worker(worker_id: WorkerId, json: JsonFlag = False) -> None:
    """Have a drained worker take jobs again."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        worker = client.workers.resume(worker_id)
    show_one(worker.model_dump(mode="json"), worker.id)


def _row(worker: "Worker") -> tuple[str, ...]:
    return (
        worker.id,
        worker.name,
        _state(worker),
        f"{worker.busy_slots} of {worker.slots} busy",
        ", ".join(worker.queues),
        ", ".join(worker.warm_models) or "-",
    )


def _state(worker: "Worker") -> str:
    if worker.draining:
        return "draining" if worker.busy_slots else "drained"
    return "working" if worker.busy_slots else "idle"
