"""The months of the log: on PostgreSQL events lie in a partition by the month of their job.

A month is opened before it comes, and dropped whole when it is over and none of its jobs remain,
which costs nothing by row. An event that finds no month is kept all the same, and moves there once
that is opened. SQLite has one table and no months.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.ids import first_id, moment_of

_AHEAD: Final = 3
_OF_LOG: Final = sa.text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    r" WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{4}_\d{2}$'"
    " ORDER BY c.relname"
)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in UTC; it holds the ids from ``low`` to before ``high``."""

    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime) -> Self:
        there = moment.astimezone(UTC)
        return cls(there.year, there.month)

    @classmethod
    def of_id(cls, job_id: str) -> Self:
        """The month in which an id was made."""
        return cls.of(moment_of(job_id))

    def after(self, months: int) -> "Month":
        years, month = divmod(self.month - 1 + months, 12)
        return Month(self.year + years, month + 1)

    @property
    def name(self) -> str:
        """Of its partition."""
        return f"events_{self.year:04}_{self.month:02}"

    @property
    def begins(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def low(self) -> str:
        return first_id(self.begins)

    @property
    def high(self) -> str:
        return self.after(1).low


def months(tx: Transaction) -> list[Month]:
    """Those that are open, oldest first."""
    if tx.connection.dialect.name != "postgresql":
        return []
    names = tx.execute(_OF_LOG).scalars()
    return [Month(int(name[-7:-3]), int(name[-2:])) for name in names]


def lacking(tx: Transaction) -> list[Month]:
    """This month and some that come, as far as they are not open."""
    if tx.connection.dialect.name != "postgresql":
        return []
    known = set(months(tx))
    coming = [Month.of(tx.now).after(ahead) for ahead in range(_AHEAD + 1)]
    return [month for month in coming if month not in known]


def open_months(tx: Transaction, wanted: Sequence[Month]) -> None:
    """Safe to repeat; what came too early for its month moves there."""
    for month in wanted:
        tx.execute(sa.select(sa.func.usina_open_month(month.begins.date())))


def drop_month(tx: Transaction, month: Month) -> bool:
    """Drops the month with all its events; false where one of its jobs remains."""
    return bool(tx.execute(sa.select(sa.func.usina_drop_month(month.begins.date()))).scalar_one())
