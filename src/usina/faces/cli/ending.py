"""A submitted job seen to its end: shown, waited for, its files fetched, its failure told."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from usina.faces.cli.board import board
from usina.faces.cli.failure import ExitCode
from usina.faces.cli.follow import fetch, follow
from usina.faces.cli.output import json_wanted, say, show, show_json
from usina.faces.cli.platform import Address
from usina_client import Job, JobFailedError, WaitTimeoutError


@dataclass(frozen=True, slots=True)
class Ending:
    job: Job
    paths: list[Path]
    log_tail: str


def default_folder(job: Job) -> Path:
    return Path(f"{job.model}-{job.id}")


def see_through(address: Address, job: Job, folder: Path | None, timeout: float | None) -> ExitCode:
    """Follow the job, put its artifacts into the folder (if one is given), print the result.

    Raises JobFailedError and WaitTimeoutError. Ctrl-C leaves the job running and says how to come
    back.
    """
    try:
        ending = asyncio.run(_end_of(address, job, folder, timeout))
    except KeyboardInterrupt:
        _say_how_to_come_back(job, folder, "Detached; the job goes on.")
        return ExitCode.INTERRUPTED
    except WaitTimeoutError:
        _say_how_to_come_back(job, folder, "Not waiting any longer; the job goes on.")
        raise
    if json_wanted():
        show_json(
            ending.job.model_dump(mode="json") | {"files": [str(path) for path in ending.paths]}
        )
    if not ending.job.succeeded:
        raise JobFailedError(ending.job, ending.log_tail)
    if not json_wanted():
        show(*(str(path) for path in ending.paths))
    return ExitCode.OK


async def _end_of(address: Address, job: Job, folder: Path | None, timeout: float | None) -> Ending:
    async with address.async_client() as client:
        with board() as shown:
            row = shown.row(job.model)
            try:
                async with asyncio.timeout(timeout):
                    ended = await follow(client, job.id, row)
            except TimeoutError:
                raise WaitTimeoutError(await client.jobs.get(job.id), timeout or 0.0) from None
            if not ended.succeeded:
                return Ending(ended, [], await client.jobs.log_tail(job.id))
            if folder is None:
                return Ending(ended, [], "")
            paths = await fetch(client, ended.artifacts, folder, row)
            row.show("done")
            return Ending(ended, paths, "")


def _say_how_to_come_back(job: Job, folder: Path | None, words: str) -> None:
    if not json_wanted():
        place = f" --out {folder}" if folder else ""
        say(words, f"Come back with: usina jobs watch {job.id}{place}")
        say(f"Or stop it with: usina jobs cancel {job.id}")
