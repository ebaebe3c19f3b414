"""A file that somebody uploaded, and an upload on its way to be one."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class File:
    """A complete file; its bytes lie in the store under ``key`` and never change.

    ``object_id`` tells the object from others that were made for the same file at once; null where
    there is only one.
    """

    id: str
    organization_id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime
    object_id: str | None = None

    @property
    def key(self) -> str:
        return self.key_of(self.organization_id, self.id, self.object_id)

    @staticmethod
    def key_of(organization_id: str, file_id: str, object_id: str | None = None) -> str:
        name = file_id if object_id is None else f"{file_id}.{object_id}"
        return f"files/{organization_id}/{name}"

    @staticmethod
    def id_in(key: str) -> str:
        """The last part of a key without what follows the file's id."""
        return key.rpartition("/")[2].partition(".")[0]


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

    @property
    def sent_key(self) -> str:
        """Where a client puts the bytes into the store itself."""
        return f"{self.parts_prefix}sent"
