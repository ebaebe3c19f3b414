"""A job on the wire: the same document for every channel and every room."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.clock import rfc3339
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import ErrorCode, Status

Link = Callable[[str], str]
"""From an artifact's id to an address of its bytes that is good without a key, for an hour."""


class ArtifactDocument(BaseModel):
    id: str
    kind: Literal["model", "preview", "image", "video", "report", "data", "log"]
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str = Field(description="Relative and signed: good for an hour without a key.")


class JobErrorDocument(BaseModel):
    code: ErrorCode
    reason: str | None = Field(description="Refines the code, such as `no_result`.")
    message: str
    retryable: bool


class GateDocument(BaseModel):
    name: str
    ok: bool | None = Field(description="Null: it could not be checked, and is not passed.")
    value: float | int | str | None = Field(description="What the program told.")
    limit: str = Field(description="What is asked of it, such as `= true` or `>= 0.5`.")
    message: str


class JobMetricsDocument(BaseModel):
    queued_seconds: float | None = Field(description="To the start of the last attempt.")
    run_seconds: float | None = Field(description="Of the last attempt, once it has ended.")
    peak_memory_bytes: int | None
    peak_gpu_memory_bytes: int | None = Field(
        description="On the GPUs that it had; null where it had none, or nobody could tell."
    )
    sandbox: dict[str, bool] | None = Field(
        description="The layers around the last attempt's program, and whether each was on; "
        "null before it has ended and where none was started."
    )
    told: dict[str, float | int | str] = Field(
        description="What the last attempt's program told by name, each as it was told last; "
        "at most a second old while it runs."
    )


class JobDocument(BaseModel):
    """A job; all keys are always there."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e",
                "model": "inflate-v1",
                "model_version": "1.0.0",
                "status": "RUNNING",
                "progress": 0.42,
                "stage": "meshing",
                "params": {"texture_size": 1024},
                "inputs": {"image": "01981c3e-1b2c-7a55-8e11-5d6c7b8a9f00"},
                "priority": 0,
                "attempt": 1,
                "max_attempts": 3,
                "labels": {"k": "v"},
                "created_at": "2026-11-21T10:00:00.000000Z",
                "started_at": "2026-11-21T10:00:00.012000Z",
                "finished_at": None,
                "queue_position": None,
                "waiting_reason": None,
                "cancel_requested_at": None,
                "error": None,
                "artifacts": [],
                "strict": False,
                "reuse": False,
                "reused_from": None,
                "gates": [],
                "metrics": {
                    "queued_seconds": 0.012,
                    "run_seconds": None,
                    "peak_memory_bytes": None,
                    "peak_gpu_memory_bytes": None,
                    "sandbox": None,
                    "told": {"residual": 0.0004},
                },
            }
        }
    )

    id: str
    model: str
    model_version: str
    status: Status
    progress: float = Field(ge=0, le=1)
    stage: str | None
    params: dict[str, Any] = Field(description="With the model's defaults filled in.")
    inputs: dict[str, str | list[str]] = Field(description="As given.")
    priority: int
    attempt: int
    max_attempts: int
    labels: dict[str, str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    queue_position: int | None = Field(
        description="From 1 in the job's lane; null unless QUEUED, and beyond 1 000."
    )
    waiting_reason: Literal["slot", "retry_delay", "queue_paused", "no_worker", "quota"] | None
    cancel_requested_at: datetime | None
    error: JobErrorDocument | None
    artifacts: list[ArtifactDocument]
    strict: bool = Field(description="Whether a gate that is not passed fails the job.")
    reuse: bool = Field(description="Whether an earlier result of the same work will do.")
    reused_from: str | None = Field(
        description="The job that its artifacts were taken from, instead of a run of its own."
    )
    gates: list[GateDocument] = Field(
        description="What the model holds its results to; empty until the last attempt has ended."
    )
    metrics: JobMetricsDocument


def job_document(job: Job, link: Link) -> dict[str, Any]:
    """The job as clients see it (:class:`JobDocument`)."""
    return {
        "id": job.id,
        "model": job.model,
        "model_version": job.model_version,
        "status": job.status.value,
        "progress": job.progress,
        "stage": job.stage,
        "params": job.params,
        "inputs": job.inputs,
        "priority": job.priority,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "labels": job.labels,
        "created_at": rfc3339(job.created_at),
        "started_at": _moment(job.started_at),
        "finished_at": _moment(job.finished_at),
        "queue_position": job.queue_position,
        "waiting_reason": job.waiting_reason,
        "cancel_requested_at": _moment(job.cancel_requested_at),
        "error": job.error and job.error.as_json(),
        "artifacts": [artifact_document(artifact, link) for artifact in job.artifacts],
        "strict": job.strict,
        "reuse": job.reuse,
        "reused_from": job.reused_from,
        "gates": [gate.as_json() for gate in job.gates],
        "metrics": {
            "queued_seconds": job.queued_seconds,
            "run_seconds": job.run_seconds,
            "peak_memory_bytes": job.peak_memory_bytes,
            "peak_gpu_memory_bytes": job.peak_gpu_memory_bytes,
            "sandbox": job.sandbox,
            "told": dict(job.metrics),
        },
    }


def artifact_document(artifact: Artifact, link: Link) -> dict[str, Any]:
    """The artifact as clients see it (:class:`ArtifactDocument`)."""
    return {
        "id": artifact.id,
        "kind": artifact.kind,
        "name": artifact.name,
        "media_type": artifact.media_type,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "url": link(artifact.id),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
