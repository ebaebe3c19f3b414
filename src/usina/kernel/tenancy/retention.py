"""How long things are kept: by the platform, and shorter where an organization wants that."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.tenancy.table import organizations

_COLUMNS: Final = (
    organizations.c.retention_jobs_days,
    organizations.c.retention_events_days,
    organizations.c.retention_files_days,
    organizations.c.retention_photos_days,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """In days; null is for ever, or as long as the platform keeps it."""

    jobs_days: float | None = None
    events_days: float | None = None
    files_days: float | None = None
    photos_days: float | None = None


def kept_of(row: sa.Row[Any]) -> Kept:
    return Kept(*(getattr(row, column.name) for column in _COLUMNS))


def own_retention(tx: Transaction) -> dict[str, Kept]:
    """Of the organizations that want some, by their ids."""
    wanted = sa.or_(*(column.is_not(None) for column in _COLUMNS))
    query = sa.select(organizations.c.id, *_COLUMNS).where(wanted)
    return {row.id: kept_of(row) for row in tx.execute(query)}


def own_ages(tx: Transaction, name: str) -> dict[str, timedelta]:
    """How long the organizations that say so keep one class, ``jobs_days`` for one."""
    ages = {one: getattr(kept, name) for one, kept in own_retention(tx).items()}
    return {one: timedelta(days=days) for one, days in ages.items() if days is not None}
