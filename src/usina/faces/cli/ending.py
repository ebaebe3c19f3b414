"""A submitted job seen to its end: shown, waited for, its files fetched, its failure told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from usina.faces.cli.board import board
from usina.faces.cli.failure import CommandError, ExitCode
from usina.faces.cli.follow import fetch, follow
from usina.faces.cli.output import json_wanted, say, show, show_json
from usina.faces.cli.platform import Address
from usina_client import Event, Job, JobFailedError, WaitTimeoutError


@dataclass(frozen=True, slots=True)
class Ending:
    job: Job
    paths: list[Path]
    log_tail: str


def default_folder(job: Job) -> Path:
    return Path(f"{job.model}-{job.id}")


def see_through(
    address: Address,
    job: Job,
    folder: Path | None,
    timeout: float | None,
    on_event: Callable[[Event], None] | None = None,
) -> None:
    """Follow the job, put its artifacts into the folder (if one is given), print the result.

    Whoever takes the events himself prints them instead of the result. Raises JobFailedError;
    Ctrl-C and the timeout leave the job running and raise a CommandError that says how to come
    back.
    """
    try:
        ending = asyncio.run(_end_of(address, job, folder, timeout, on_event))
    except KeyboardInterrupt:
        words = f"Detached; the job goes on. {_how_to_come_back(job, folder)}"
        raise CommandError(words, code="interrupted", exit_code=ExitCode.INTERRUPTED) from None
    except WaitTimeoutError as error:
        words = f"{error} {_how_to_come_back(job, folder)}"
        raise CommandError(words, code="wait_timeout", exit_code=ExitCode.TIMED_OUT) from None
    if json_wanted() and not on_event:
        show_json(
            ending.job.model_dump(mode="json") | {"files": [str(path) for path in ending.paths]}
        )
    for gate in ending.job.gates:
        if not gate.ok:
            say(f"Gate {gate.name}: {gate.message}")
    if not ending.job.succeeded:
        raise JobFailedError(ending.job, ending.log_tail)
    if not json_wanted() and not on_event:
        show(*(str(path) for path in ending.paths))


async def _end_of(
    address: Address,
    job: Job,
    folder: Path | None,
    timeout: float | None,
    on_event: Callable[[Event], None] | None,
) -> Ending:
    async with address.async_client() as client:
        with board() as shown:
            row = shown.row(job.model)
            try:
                async with asyncio.timeout(timeout):
                    ended = await follow(client, job.id, row, on_event)
            except TimeoutError:
                raise WaitTimeoutError(await client.jobs.get(job.id), timeout or 0.0) from None
            if not ended.succeeded:
                return Ending(ended, [], await client.jobs.log_tail(job.id))
            if folder is None:
                return Ending(ended, [], "")
            paths = await fetch(client, ended.artifacts, folder, row)
            row.show("done", 1.0)
            return Ending(ended, paths, "")


def _how_to_come_back(job: Job, folder: Path | None) -> str:
    place = f" --out {folder}" if folder else ""
    return (
        f"Come back with:\n  usina jobs watch {job.id}{place}\n"
        f"Or stop it with:\n  usina jobs cancel {job.id}"
    )
