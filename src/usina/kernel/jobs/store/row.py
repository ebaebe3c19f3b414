"""From a row to a job."""

from typing import Any

import sqlalchemy as sa

from usina.kernel.jobs.job import Job
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import ErrorCode, JobError, Status
from usina.kernel.runners.gate import Gate


def job_of(row: sa.Row[Any]) -> Job:
    """The job without what other tables know of it (artifacts, its place in the queue)."""
    error = row.error
    return Job(
        id=row.id,
        organization_id=row.organization_id,
        model=row.model,
        model_version=row.model_version,
        queue=row.queue,
        status=Status(row.status),
        progress=row.progress,
        stage=row.stage,
        params=row.params,
        inputs=row.inputs,
        labels=row.labels,
        priority=row.priority,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        timeout_seconds=row.timeout_seconds,
        created_at=row.created_at,
        available_at=row.available_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_requested_at=row.cancel_requested_at,
        error=error
        and JobError(
            ErrorCode(error["code"]), error["reason"], error["message"], error["retryable"]
        ),
        peak_memory_bytes=row.peak_memory_bytes,
        peak_gpu_memory_bytes=row.peak_gpu_memory_bytes,
        sandbox=row.sandbox,
        last_seq=row.last_seq,
        needs=Room(row.slots, row.memory_bytes, row.gpus, row.gpu_memory_bytes),
        strict=row.strict,
        reuse=row.reuse,
        reused_from=row.reused_from,
        gates=tuple(Gate(**gate) for gate in row.gates or ()),
        metrics=row.metrics or {},
    )
