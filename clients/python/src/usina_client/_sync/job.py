# Generated from ../_async/job.py by generate_sync.py: change that file instead.
"""Jobs: submitted, followed, waited for."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from time import monotonic, sleep
from typing import Final

from usina_client._error import (
    JobFailedError,
    RateLimitedError,
    TransportError,
    UnavailableError,
    UsinaError,
    WaitTimeoutError,
)
from usina_client._model import (
    Event,
    Job,
    Json,
    LogText,
    Page,
)
from usina_client._request import API, Request, get, idempotent, path_to, query_of
from usina_client._submission import Inputs, JobRequest, body_of, by_id, multipart
from usina_client._upload import OnProgress

from .connection import Connection, pause, read
from .input import sent
from .pager import Pager
from .stream import PATIENCE_SECONDS, listen

POLL_SECONDS: Final = 30.0
"""How long one long-poll of `wait` lasts."""

LOG_TAIL_LINES: Final = 20


class Jobs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(
        self,
        model: str,
        params: Mapping[str, Json] | None = None,
        inputs: Inputs | None = None,
        *,
        priority: int | None = None,
        max_attempts: int | None = None,
        timeout_seconds: float | None = None,
        callback_url: str | None = None,
        labels: Mapping[str, str] | None = None,
        strict: bool = False,
        reuse: bool = False,
        idempotency_key: str | None = None,
        on_upload: OnProgress | None = None,
    ) -> Job:
        """Accepted means durable: the job comes back QUEUED.

        Local inputs go along in the same call; beside inputs that are named by id they are
        uploaded first, and deleted again if the job is refused.
        """
        job = JobRequest(
            model=model,
            params=params or {},
            inputs=inputs or {},
            priority=priority,
            max_attempts=max_attempts,
            timeout_seconds=timeout_seconds,
            callback_url=callback_url,
            labels=labels or {},
            strict=strict,
            reuse=reuse,
        )
        if job.local:
            return self._connection.fetch(multipart(job, idempotency_key, on_upload), Job)
        with sent(self._connection, [job], on_upload) as inputs_by_id:
            request = by_id(job, inputs_by_id[0], idempotency_key)
            return self._connection.fetch(request, Job)

    def submit_batch(
        self,
        jobs: Sequence[JobRequest],
        *,
        idempotency_key: str | None = None,
        on_upload: OnProgress | None = None,
    ) -> Sequence[Job]:
        """Up to 1 000 jobs in one transaction, all or none, in their order."""
        with sent(self._connection, jobs, on_upload) as inputs_by_id:
            request = Request(
                method="POST",
                path=f"{API}/jobs/batch",
                json={"jobs": [body_of(*pair) for pair in zip(jobs, inputs_by_id, strict=True)]},
                headers=idempotent(idempotency_key),
                repeatable=True,
            )
            page = self._connection.fetch(request, Page[Job])
            return page.items

    def run(
        self,
        model: str,
        params: Mapping[str, Json] | None = None,
        inputs: Inputs | None = None,
        *,
        timeout: float | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit and wait: the succeeded job, or JobFailedError with the end of its log."""
        submitted = self.submit(
            model, params, inputs, labels=labels, idempotency_key=idempotency_key
        )
        job = self.wait(submitted.id, timeout=timeout)
        if not job.succeeded:
            raise JobFailedError(job, self.log_tail(job.id))
        return job

    def get(self, job_id: str, *, wait_seconds: float | None = None) -> Job:
        """The job now, or, with `wait_seconds` (0 to 60), when it has ended or they are over."""
        request = Request(
            method="GET",
            path=path_to("jobs", job_id),
            query=query_of(wait_seconds=wait_seconds),
            repeatable=True,
            silence_seconds=self._connection.timeout + (wait_seconds or 0),
        )
        return self._connection.fetch(request, Job)

    def list(
        self,
        *,
        status: str | Sequence[str] | None = None,
        model: str | None = None,
        labels: Mapping[str, str] | None = None,
        created_after: datetime | None = None,
        limit: int | None = None,
    ) -> Pager[Job]:
        """Newest first; `limit` is the size of a page."""
        query = [
            *query_of(status=status, model=model, created_after=created_after, limit=limit),
            *((f"label.{key}", value) for key, value in (labels or {}).items()),
        ]
        return Pager(self._connection, f"{API}/jobs", query, Page[Job])

    def cancel(self, job_id: str) -> Job:
        """Ask it to end; one that has ended already comes back as it is."""
        request = Request(method="POST", path=path_to("jobs", job_id, "cancel"), repeatable=True)
        return self._connection.fetch(request, Job)

    def retry(self, job_id: str) -> Job:
        """Reopen a failed or cancelled job."""
        request = Request(method="POST", path=path_to("jobs", job_id, "retry"))
        return self._connection.fetch(request, Job)

    def delete(self, job_id: str) -> None:
        """Remove a job that has ended, its artifacts too."""
        self._connection.send(Request(method="DELETE", path=path_to("jobs", job_id)))

    def wait(self, job_id: str, *, timeout: float | None = None) -> Job:
        """The job once it has ended, however; WaitTimeoutError after `timeout` seconds.

        A platform that goes away is waited for, up to a minute.
        """
        deadline = None if timeout is None else monotonic() + timeout
        job = self.get(job_id, wait_seconds=0)
        away_since: float | None = None
        failures = 0
        while not job.terminal:
            left = POLL_SECONDS if deadline is None else deadline - monotonic()
            if left <= 0:
                raise WaitTimeoutError(job, timeout or 0.0)
            try:
                job = self.get(job_id, wait_seconds=min(left, POLL_SECONDS))
                away_since, failures = None, 0
            except (TransportError, UnavailableError, RateLimitedError):
                away_since = away_since or monotonic()
                failures += 1
                if monotonic() - away_since > PATIENCE_SECONDS:
                    raise
                sleep(min(pause(failures), left))
        return job

    def events(
        self, job_id: str, *, cursor: str | None = None, limit: int | None = None
    ) -> Pager[Event]:
        """The job's log so far, oldest first; `cursor` is the id of an event: those after it."""
        query = query_of(cursor=cursor, limit=limit)
        return Pager(self._connection, path_to("jobs", job_id, "events"), query, Page[Event])

    def watch(self, job_id: str, *, last_event_id: str | None = None) -> Generator[Event]:
        """Every event as it happens, none twice and none missed, until the job has ended.

        Lost connections are taken up again where they broke. Finer progress steps come as hints:
        events without a `seq`. `last_event_id` resumes an earlier watch.
        """
        seen = 0
        ended = False
        path = path_to("jobs", job_id, "events")
        with closing(listen(self._connection, path, (), last_event_id)) as messages:
            for message in messages:
                if message is None:
                    if ended:
                        return
                    continue
                event = read(Event, message.data)
                if event.seq is not None:
                    if event.seq <= seen:
                        continue
                    seen, ended = event.seq, event.terminal
                yield event

    def logs(self, job_id: str, *, attempt: int | None = None) -> str:
        """What the program has printed so far, in its last attempt unless another is named."""
        request = get(path_to("jobs", job_id, "logs"), query_of(attempt=attempt))
        response = self._connection.send(request)
        return response.content.decode("utf-8", errors="replace")

    def follow_logs(self, job_id: str, *, attempt: int | None = None) -> Generator[str]:
        """The log as it grows, from its start, until the job has ended."""
        path = path_to("jobs", job_id, "logs")
        ended = False
        query = query_of(attempt=attempt)
        with closing(listen(self._connection, path, query, None)) as messages:
            for message in messages:
                if message is not None:
                    ended = False
                    yield read(LogText, message.data).text
                elif ended:
                    return
                else:
                    # Closed in order; once more after the end, so that nothing is left behind.
                    ended = (self.get(job_id)).terminal

    def log_tail(self, job_id: str) -> str:
        """The last lines of the log; empty where there is none to be had."""
        try:
            text = self.logs(job_id)
        except UsinaError:
            return ""
        return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])
