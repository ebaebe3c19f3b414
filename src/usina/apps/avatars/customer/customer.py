"""A customer, a photo, a receipt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from usina.kernel.tenancy.audit import Note, Values


@dataclass(frozen=True, slots=True)
class Customer:
    """``name`` is the caller's own id; ``photo_count`` counts photos whose job was accepted."""

    id: str
    organization_id: str
    name: str
    retention_days: float | None
    created_at: datetime
    erasing_at: datetime | None
    photo_count: int = 0


@dataclass(frozen=True, slots=True)
class Photo:
    id: str
    organization_id: str
    customer_id: str
    file_id: str | None
    job_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an erasure removed: ``rows`` by table, and objects of the store with their bytes."""

    id: str
    organization_id: str
    customer_digest: str
    rows: Mapping[str, int]
    objects: int
    object_bytes: int
    requested_at: datetime
    finished_at: datetime


class Told(Protocol):
    """What tells the audit log of one customer, by its digest: the id would outlive an erasure."""

    def __call__(
        self, action: str, before: Values | None = None, after: Values | None = None
    ) -> Note: ...
