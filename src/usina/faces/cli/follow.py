"""A job watched to its end, its artifacts fetched."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from usina.faces.cli.board import Row
from usina.faces.cli.waiting import reason_in_words
from usina_client import Artifact, AsyncClient, Event, Job, JobStatus, UsinaError, safe_name

_QUEUE_LOOK_SECONDS: Final = 2.0


async def follow(
    client: AsyncClient, job_id: str, row: Row, on_event: Callable[[Event], None] | None = None
) -> Job:
    """Show the job on its row until it has ended; `on_event` gets every event from its first."""
    job = await client.jobs.get(job_id)
    _show_state(job, row)
    if job.terminal and on_event is None:
        return job
    waiting = asyncio.create_task(_explain_waiting(client, job_id, row))
    try:
        async for event in client.jobs.watch(job_id):
            if event.type == "job.running":
                waiting.cancel()
            _show_event(event, row)
            if on_event:
                on_event(event)
    finally:
        waiting.cancel()
    return await client.jobs.get(job_id)


async def fetch(
    client: AsyncClient, artifacts: Sequence[Artifact], folder: Path, row: Row
) -> list[Path]:
    """Every artifact as a file of the folder, which is made; their paths in the same order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for artifact in artifacts:
        row.show(f"fetching {len(artifacts)} files", len(paths) / len(artifacts))
        paths.append(await client.artifacts.download(artifact, _place(folder, artifact, paths)))
    return paths


async def _explain_waiting(client: AsyncClient, job_id: str, row: Row) -> None:
    """While it waits, say at which place and why."""
    with suppress(UsinaError):
        while True:
            await asyncio.sleep(_QUEUE_LOOK_SECONDS)
            _show_state(await client.jobs.get(job_id), row)


def _show_state(job: Job, row: Row) -> None:
    if job.status is not JobStatus.QUEUED:
        row.show(job.stage or job.status.lower(), job.progress)
        return
    place = f"at place {job.queue_position}" if job.queue_position else ""
    reason = reason_in_words(job)
    row.show(" ".join(["waiting", *(word for word in (place, reason and f"({reason})") if word)]))


def _show_event(event: Event, row: Row) -> None:
    data = event.data
    match event.type:
        case "job.progress":
            row.show(str(data.get("stage") or "running"), _fraction(data.get("progress")))
        case "job.running":
            attempt = data.get("attempt")
            row.show("running" if attempt == 1 else f"running, attempt {attempt}", 0.0)
        case "job.retrying":
            row.show(f"attempt {data.get('attempt')} follows: {_error(data.get('error'))}", 0.0)
        case "job.cancelling":
            row.show("being cancelled")
        case "job.succeeded":
            row.show("succeeded", 1.0)
        case "job.failed" | "job.cancelled":
            row.show(event.type.removeprefix("job."))
        case _:
            pass


def _fraction(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _error(value: JsonValue) -> str:
    return str(value.get("message")) if isinstance(value, dict) else "it was interrupted"


def _place(folder: Path, artifact: Artifact, taken: Sequence[Path]) -> Path:
    """A name of its own in the folder, also where two artifacts are called the same."""
    name = Path(safe_name(artifact.name))
    path, number = folder / name, 2
    while path in taken:
        path = folder / f"{name.stem}-{number}{name.suffix}"
        number += 1
    return path
