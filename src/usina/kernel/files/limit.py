"""The bounds of files that settings and quotas move."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from usina.kernel.db.unit_of_work import Transaction

KeepRoom = Callable[[Transaction, str, int], None]
"""Raises ``TooLarge`` where an organization may not have so many bytes more; what counts as its
bytes stands above files."""


def _no_quota(tx: Transaction, organization_id: str, more_bytes: int) -> None: ...


@dataclass(frozen=True, slots=True)
class FileLimits:
    """``upload_time`` is how long an upload may take until it is completed."""

    max_upload_bytes: int
    upload_time: timedelta
    keep_room: KeepRoom = _no_quota
