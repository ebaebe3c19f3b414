"""A file that somebody uploaded, and an upload on its way to be one."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class File:
    """A complete file; its bytes lie in the store under ``key`` and never change."""

    id: str
    organization_id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime

    @property
    def key(self) -> str:
        return self.key_of(self.organization_id, self.id)

    @staticmethod
    def key_of(organization_id: str, file_id: str) -> str:
        return f"files/{organization_id}/{file_id}"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is not complete yet; it keeps its id when it is.

    ``size_bytes`` is null where nobody declared it, ``sha256`` until every byte is there. An
    upload that ``completes_itself`` becomes a file with its last byte.
    """

    id: str
    organization_id: str
    name: str
    media_type: str
    size_bytes: int | None
    sha256: str | None
    completes_itself: bool
    created_at: datetime
    expires_at: datetime

    @property
    def key(self) -> str:
        return File.key_of(self.organization_id, self.id)

    @property
    def parts_prefix(self) -> str:
        return f"uploads/{self.organization_id}/{self.id}/"
