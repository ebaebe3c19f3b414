"""A bed and its files as clients see them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from usina.apps.cfd.bed.plan import BedPlan
from usina.apps.cfd.bed.state import BedState
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.clock import rfc3339
from usina.kernel.files.file import File
from usina.kernel.jobs.state import Status


class BedDocument(BedPlan):
    """A bed; all keys are always there."""

    id: str
    status: Status | None = Field(
        description="Of its generation's job; null once somebody has deleted that."
    )
    porosity: float | None = Field(
        description="Void fraction of the core, one particle diameter left out at each end."
    )
    porosity_bulk: float | None = Field(description="Of the whole packing.")
    job_id: str | None = Field(description="Of the generation; null where one was uploaded.")
    created_at: datetime
    updated_at: datetime


def bed_document(state: BedState) -> dict[str, Any]:
    """The bed (:class:`BedDocument`)."""
    bed, newest = state.bed, state.newest
    return {
        "id": bed.id,
        **bed.plan.model_dump(),
        "status": state.status and state.status.value,
        "porosity": state.figures.porosity,
        "porosity_bulk": state.figures.porosity_bulk,
        "job_id": newest.job.id if newest and newest.job else None,
        "created_at": rfc3339(bed.created_at),
        "updated_at": rfc3339(bed.updated_at),
    }


class BedFileDocument(BaseModel):
    id: str
    name: str
    origin: Literal["generated", "uploaded"]
    media_type: str = Field(description="What the bytes say.")
    size_bytes: int
    sha256: str
    created_at: datetime


def bed_file_document(file: File | Artifact) -> dict[str, Any]:
    """A file of a bed (:class:`BedFileDocument`)."""
    return {
        "id": file.id,
        "name": file.name,
        "origin": "uploaded" if isinstance(file, File) else "generated",
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "created_at": rfc3339(file.created_at),
    }
