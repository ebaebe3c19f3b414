"""What a photo is doing, as its customer's system sees it: derived from its job, never stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from usina.http_kit.job import Link, job_document
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import Status

State = Literal["PENDING", "PROCESSING", "DONE", "FAILED"]

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
    return of_job_document(job_document(job, link), customer)


def of_job_document(job: Mapping[str, Any], customer: str) -> dict[str, Any]:
    """The same out of a job as clients see it."""
    status = Status(job["status"])
    ready = job["artifacts"] if status is Status.SUCCEEDED else ()
    urls = {artifact["name"]: artifact["url"] for artifact in ready}
    return {
        "jobId": job["id"],
        "customerId": customer,
        "status": STATES[status],
        "originalPhotoUrl": urls.get(_ORIGINAL),
        "generatedPhotoUrl": urls.get(_GENERATED),
        "error": job["error"]["message"] if job["error"] else None,
        "createdAt": job["created_at"],
        "updatedAt": job["finished_at"] or job["started_at"] or job["created_at"],
    }
