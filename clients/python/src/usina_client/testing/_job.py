"""Jobs of the platform in memory: what they are, and what happens to them."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias
from uuid import uuid4

from pydantic import JsonValue

Document: TypeAlias = dict[str, JsonValue]

RETRIED: Final = frozenset({"runner_failed", "unavailable", "internal"})
_TERMINAL: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class Failure(Exception):
    """Raised by a model's function: its attempt fails with this error.

    The codes that the platform repeats (`runner_failed`, `unavailable`, `internal`) are repeated
    here too, up to the job's `max_attempts`, unless `retryable` says otherwise.
    """

    def __init__(
        self,
        code: str = "runner_failed",
        message: str = "The program failed.",
        *,
        reason: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.document: Document = {
            "code": code,
            "reason": reason,
            "message": message,
            "retryable": code in RETRIED if retryable is None else retryable,
        }


@dataclass(frozen=True, slots=True)
class Stored:
    """A file or an artifact with its bytes."""

    document: Document
    content: bytes


def stored(name: str, content: bytes, media_type: str, **more: JsonValue) -> Stored:
    document: Document = {
        "id": str(uuid4()),
        "name": name,
        "media_type": media_type,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return Stored(document | more, content)


@dataclass(slots=True)
class FakeJob:
    """A job: its document as clients see it, its events and what its program printed."""

    document: Document
    events: list[Document] = field(default_factory=list[Document])
    log: str = ""
    artifacts: list[Stored] = field(default_factory=list[Stored])

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def ended(self) -> bool:
        return self.document["status"] in _TERMINAL

    def tell(self, kind: str, **data: JsonValue) -> None:
        seq = len(self.events) + 1
        self.events.append(
            {
                "id": f"{self.id}.{seq}",
                "job_id": self.id,
                "seq": seq,
                "type": kind,
                "at": now(),
                "data": data,
            }
        )

    def end(self, status: str, error: Document | None = None) -> None:
        self.document |= {"status": status, "error": error, "finished_at": now()}
        self.document["waiting_reason"] = self.document["queue_position"] = None
        self.tell(f"job.{status.lower()}", status=status, error=error)

    def reopen(self) -> None:
        attempt = int(str(self.document["attempt"])) + 1
        self._queue(attempt, error=self.document["error"])
        most = int(str(self.document["max_attempts"]))
        self.document |= {"max_attempts": max(most, attempt), "error": None, "finished_at": None}

    def _queue(self, attempt: int, error: JsonValue) -> None:
        self.document |= {"status": "QUEUED", "attempt": attempt, "progress": 0.0, "stage": None}
        self.tell("job.retrying", attempt=attempt, error=error, delay_seconds=0)

    def run(self, work: "Callable[[Run], None]", inputs: Mapping[str, list[Stored]]) -> None:
        """Attempts until one succeeds, or none is left."""
        while True:
            self.log, self.artifacts = "", []
            run = Run(self, inputs)
            self.document |= {"status": "RUNNING", "started_at": now(), "cancel_requested_at": None}
            self.tell("job.running", attempt=self.document["attempt"])
            try:
                work(run)
            except Failure as failure:
                attempt = int(str(self.document["attempt"]))
                last = attempt >= int(str(self.document["max_attempts"]))
                if last or not failure.document["retryable"]:
                    self.end("FAILED", failure.document)
                    return
                self._queue(attempt + 1, failure.document)
            else:
                self._succeed()
                return

    def _succeed(self) -> None:
        shown: list[JsonValue] = [dict(artifact.document) for artifact in self.artifacts]
        self.document |= {"progress": 1.0, "artifacts": shown}
        for artifact in shown:
            self.tell("job.artifact", artifact=artifact)
        self.end("SUCCEEDED")


class Run:
    """One attempt, as a model's function sees it."""

    def __init__(self, job: FakeJob, inputs: Mapping[str, list[Stored]]) -> None:
        self._job = job
        self.inputs = {name: [one.content for one in each] for name, each in inputs.items()}
        """The bytes of each input, in a list."""

    @property
    def params(self) -> Mapping[str, JsonValue]:
        """As given, the model's defaults filled in."""
        params = self._job.document["params"]
        assert isinstance(params, dict)
        return params

    @property
    def attempt(self) -> int:
        return int(str(self._job.document["attempt"]))

    def progress(self, progress: float, stage: str | None = None) -> None:
        self._job.document |= {"progress": progress, "stage": stage}
        self._job.tell("job.progress", progress=progress, stage=stage)

    def log(self, text: str) -> None:
        """A line that the program prints."""
        self._job.log += text + "\n"

    def artifact(
        self,
        name: str,
        content: bytes,
        *,
        kind: str = "data",
        media_type: str = "application/octet-stream",
    ) -> None:
        """It is there once the job has succeeded."""
        made = stored(name, content, media_type, kind=kind)
        made.document["url"] = f"/api/v1/artifacts/{made.document['id']}/content"
        self._job.artifacts.append(made)


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
