"""Quotas: how much of the platform an organization may have at once.

An organization's own quotas are in its row; the platform's are the most of everybody's. Whoever is
busy asks what was learnt in the last second; what is counted against it is counted exactly.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.tenancy.table import organizations

KNOWN_SECONDS: Final = 1.0
"""How old what a process knows may be, should no word of a change have reached it."""

QUOTAS: Final = "quotas"
"""The kind of the bus's topics that say that quotas have changed."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The most of each; null is no limit."""

    running_jobs: int | None = None
    queued_jobs: int | None = None
    stored_bytes: int | None = None

    def least(self, other: "Quota") -> "Quota":
        """Of each the smaller."""
        pairs = [(getattr(self, part.name), getattr(other, part.name)) for part in fields(Quota)]
        return Quota(*(_smaller(one, two) for one, two in pairs))


_COLUMNS: Final = (
    organizations.c.quota_running_jobs,
    organizations.c.quota_queued_jobs,
    organizations.c.quota_stored_bytes,
)
_LIMITED: Final = sa.select(organizations.c.id, *_COLUMNS).where(
    sa.or_(*(column.is_not(None) for column in _COLUMNS))
)


class Quotas:
    """Everybody's, as this process knows them; ``most`` are the platform's."""

    def __init__(
        self, database: Database, most: Quota, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._monotonic = monotonic
        self._own: dict[str, Quota] = {}
        self._known_until = 0.0
        self._forgotten = 0
        self._looking = asyncio.Lock()
        self.most = most

    async def learn(self) -> None:
        """Looks once a second at most; costs nothing in between. Whoever comes during a look waits
        for what it finds, and what is forgotten during a look is looked at again."""
        if self._is_known:
            return
        async with self._looking:
            while not self._is_known:
                when = self._forgotten
                rows = await self._database.read(lambda tx: tx.execute(_LIMITED).all())
                if when == self._forgotten:
                    self._own = {row.id: quota_of(row).least(self.most) for row in rows}
                    self._known_until = self._monotonic() + KNOWN_SECONDS

    @property
    def _is_known(self) -> bool:
        return self._monotonic() < self._known_until

    def forget(self) -> None:
        """They are looked at anew when they are asked for next; also those that are being looked
        at just now."""
        self._forgotten += 1
        self._known_until = 0.0

    def of(self, organization_id: str) -> Quota:
        """As it was learnt last."""
        return self._own.get(organization_id, self.most)

    def running_jobs(self, organization_id: str) -> int | None:
        return self.of(organization_id).running_jobs

    def now_of(self, tx: Transaction, organization_id: str) -> Quota:
        """As it stands in the database."""
        own = sa.select(*_COLUMNS).where(organizations.c.id == organization_id)
        row = tx.execute(own).one_or_none()
        return self.most if row is None else quota_of(row).least(self.most)


def quota_of(row: sa.Row[Any]) -> Quota:
    """The organization's own."""
    return Quota(row.quota_running_jobs, row.quota_queued_jobs, row.quota_stored_bytes)


def _smaller(one: int | None, two: int | None) -> int | None:
    known = [value for value in (one, two) if value is not None]
    return min(known, default=None)
