"""`usina jobs`: jobs by hand."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usina.faces.cli.output import (
    JsonFlag,
    say,
    show,
    show_json,
    show_list,
    show_one,
    show_pairs,
    size,
)
from usina.faces.cli.waiting import reason_in_words

if TYPE_CHECKING:
    from usina_client import Event, Job


def _moment(text: str) -> datetime:
    """A date or a time of ISO 8601, in UTC where no zone is named."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


app = typer.Typer(help="Jobs: list, get, watch, logs, cancel, retry.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


@app.command("list")
def list_jobs(
    status: Annotated[
        list[str] | None, typer.Option(help="QUEUED, RUNNING, SUCCEEDED, FAILED or CANCELLED.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="K=V", help="Only with this.")] = None,
    created_after: Annotated[
        datetime | None,
        typer.Option(parser=_moment, metavar="TIME", help="Only later ones: 2026-01-31T12:00Z."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    json: JsonFlag = False,
) -> None:
    """List jobs, the newest first."""
    from itertools import islice

    from usina.faces.cli.platform import find

    with find().client() as client:
        pager = client.jobs.list(
            status=[one.upper() for one in status or []],
            model=model,
            labels=dict(_label(pair) for pair in label or []),
            created_after=created_after,
            limit=min(limit, 200),
        )
        jobs = list(islice(pager, limit))
    show_list(
        jobs,
        ("JOB", "MODEL", "STATUS", "PROGRESS", "CREATED"),
        lambda job: (job.id, job.model, job.status, f"{job.progress:.0%}", _time(job.created_at)),
    )


@app.command("get")
def get_job(job_id: JobId, json: JsonFlag = False) -> None:
    """Show a job as it is now."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        _show_job(client.jobs.get(job_id), json)


@app.command("watch")
def watch_job(
    job_id: JobId,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Fetch the artifacts into this folder.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.0, metavar="S", help="Wait at most so many seconds.")
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Print each event as a line of JSON, at once.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Follow a job to its end. Ctrl-C leaves it running."""
    from usina.faces.cli.ending import see_through
    from usina.faces.cli.platform import find

    address = find()
    with address.client() as client:
        job = client.jobs.get(job_id)

    def print_event(event: "Event") -> None:
        show(event.model_dump_json())

    see_through(address, job, out, timeout, print_event if events else None)


@app.command("logs")
def show_logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    attempt: Annotated[int | None, typer.Option(min=1, help="The last one unless told.")] = None,
    json: JsonFlag = False,
) -> None:
    """Print what a job's program has written."""
    import sys

    from usina.faces.cli.platform import find

    with find().client() as client:
        if json:
            pieces = client.jobs.follow_logs(job_id, attempt=attempt) if follow else None
            text = "".join(pieces) if pieces else client.jobs.logs(job_id, attempt=attempt)
            show_json({"job_id": job_id, "attempt": attempt, "text": text})
        elif follow:
            for piece in client.jobs.follow_logs(job_id, attempt=attempt):
                sys.stdout.write(piece)
                sys.stdout.flush()
        else:
            sys.stdout.write(client.jobs.logs(job_id, attempt=attempt))


@app.command("cancel")
def cancel_job(job_id: JobId, json: JsonFlag = False) -> None:
    """Stop a job."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        job = client.jobs.cancel(job_id)
    if not json and job.terminal:
        say(f"It had ended before: {job.status}.")
    show_one(job.model_dump(mode="json"), job.id)


@app.command("retry")
def retry_job(job_id: JobId, json: JsonFlag = False) -> None:
    """Reopen a failed or cancelled job."""
    from usina.faces.cli.platform import find

    with find().client() as client:
        job = client.jobs.retry(job_id)
    show_one(job.model_dump(mode="json"), job.id)


def _label(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise typer.BadParameter(f"{pair!r} is not of the form K=V.", param_hint="--label")
    return key, value


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _told(value: float | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _show_job(job: "Job", json: bool) -> None:
    if json:
        show_json(job.model_dump(mode="json"))
        return
    pairs = [
        ("job", job.id),
        ("model", f"{job.model} {job.model_version}"),
        ("status", job.status),
        ("progress", f"{job.progress:.0%}" + (f", {job.stage}" if job.stage else "")),
        ("attempt", f"{job.attempt} of {job.max_attempts}"),
        ("created", _time(job.created_at)),
    ]
    if job.waiting_reason:
        place = f"at place {job.queue_position}: " if job.queue_position else ""
        pairs.append(("waiting", place + reason_in_words(job)))
    if job.finished_at:
        pairs.append(("finished", _time(job.finished_at)))
    if job.metrics.run_seconds is not None:
        pairs.append(("ran", f"{job.metrics.run_seconds:.2f} s"))
    pairs += [(name, _told(value)) for name, value in job.metrics.told.items()]
    if job.error:
        pairs.append(("error", str(job.error)))
    pairs += [(f"{key}", value) for key, value in job.labels.items()]
    show_pairs(pairs)
    if job.artifacts:
        show("", "Artifacts:")
        show_pairs(
            [(f"  {each.name}", f"{size(each.size_bytes)}  {each.id}") for each in job.artifacts]
        )
