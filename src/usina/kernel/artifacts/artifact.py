"""An output of a job."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored output whose bytes never change.

    They lie in the store under ``key``, or, of a small one, ``inline`` in its row; ``content`` is
    there only where it was asked for.
    """

    id: str
    organization_id: str
    job_id: str
    attempt: int
    kind: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime
    inline: bool = False
    content: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> str:
        return self.key_of(self.organization_id, self.job_id, self.id)

    @staticmethod
    def key_of(organization_id: str, job_id: str, artifact_id: str) -> str:
        return f"artifacts/{organization_id}/{job_id}/{artifact_id}"
