"""What a photo is doing, as its customer's system sees it: derived from its job, never stored."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from usina.kernel.clock import rfc3339
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import Status

State = Literal["PENDING", "PROCESSING", "DONE", "FAILED"]
Link = Callable[[str], str]

STATES: Final[dict[Status, State]] = {
    Status.QUEUED: "PENDING",
    Status.RUNNING: "PROCESSING",
    Status.SUCCEEDED: "DONE",
    Status.FAILED: "FAILED",
    Status.CANCELLED: "FAILED",
}
_ORIGINAL, _GENERATED = "original.jpg", "avatar.png"


class PhotoDocument(BaseModel):
    jobId: str  # noqa: N815  # the names of the origin
    customerId: str  # noqa: N815
    status: State
    originalPhotoUrl: str | None = Field(  # noqa: N815
        description="Relative, signed, good for an hour without a key; null before DONE."
    )
    generatedPhotoUrl: str | None = Field(description="Likewise.")  # noqa: N815
    error: str | None = Field(description="Why it FAILED, in words.")
    createdAt: datetime  # noqa: N815
    updatedAt: datetime  # noqa: N815


def photo_document(job: Job, customer: str, link: Link) -> dict[str, Any]:
    """The photo as clients see it (:class:`PhotoDocument`); ``customer`` is the caller's own id."""
    ready = job.artifacts if job.status is Status.SUCCEEDED else ()
    urls = {artifact.name: link(artifact.id) for artifact in ready}
    updated = job.finished_at or job.started_at or job.created_at
    return {
        "jobId": job.id,
        "customerId": customer,
        "status": STATES[job.status],
        "originalPhotoUrl": urls.get(_ORIGINAL),
        "generatedPhotoUrl": urls.get(_GENERATED),
        "error": job.error.message if job.error else None,
        "createdAt": rfc3339(job.created_at),
        "updatedAt": rfc3339(updated),
    }
