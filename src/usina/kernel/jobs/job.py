"""A job as the rest of the platform sees it, and what is asked for when one is submitted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import JobError, Status
from usina.kernel.runners.gate import Gate, Value

InputIds = Mapping[str, str | list[str]]
"""By input name: the id of a file or artifact, or a list of them, as the caller gave it."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A submit before validation; ``pointer`` is where it stands in the request's body."""

    model: str
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: InputIds = field(default_factory=dict[str, str | list[str]])
    priority: int = 0
    max_attempts: int = 3
    timeout_seconds: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    strict: bool = False
    reuse: bool = False
    """Whether an earlier result of the same work will do."""
    callback_url: str | None = None
    """Told of each end of the job."""
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One job at one moment. Times are aware UTC; every field of the contract is here."""

    id: str
    organization_id: str
    model: str
    model_version: str
    queue: str
    status: Status
    progress: float
    stage: str | None
    params: dict[str, Any]
    inputs: dict[str, str | list[str]]
    labels: dict[str, str]
    priority: int
    attempt: int
    max_attempts: int
    timeout_seconds: float
    created_at: datetime
    available_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    error: JobError | None
    peak_memory_bytes: int | None
    peak_gpu_memory_bytes: int | None
    sandbox: dict[str, bool] | None
    """Layers that were around the last attempt's program, and whether they were on."""
    last_seq: int
    needs: Room
    strict: bool = False
    reuse: bool = False
    reused_from: str | None = None
    gates: tuple[Gate, ...] = ()
    metrics: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """What the last attempt's program told by name, each as it was told last."""
    queue_position: int | None = None
    waiting_reason: str | None = None
    artifacts: tuple[Artifact, ...] = ()

    @property
    def queued_seconds(self) -> float | None:
        """From its creation to the start of the last attempt."""
        if self.started_at is None:
            return None
        return (self.started_at - self.created_at).total_seconds()

    @property
    def run_seconds(self) -> float | None:
        """Of the last attempt; null while none has ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()
