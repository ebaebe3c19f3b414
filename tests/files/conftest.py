"""The file service over each store and database, with one organization and another."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.storage.conftest import opening, small_disk, store
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.service import Files
from usina.kernel.files.table import files
from usina.kernel.ids import new_id
from usina.kernel.storage.store import Store
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.table import organizations

__all__ = ["desk", "opening", "small_disk", "store"]

MAX_BYTES = 20 * 1024**2


@dataclass
class Desk:
    """Where files are handed in."""

    database: Database
    store: Store
    clock: FakeClock
    caller: Caller
    other: Caller
    in_use: set[str] = field(default_factory=set[str])

    @property
    def files(self) -> Files:
        limits = FileLimits(MAX_BYTES, timedelta(hours=1))
        return Files(
            self.database,
            self.store,
            self.clock,
            lambda tx, file_id: file_id in self.in_use,
            limits,
        )

    async def rows(self) -> list[str]:
        def unit(tx: Transaction) -> list[str]:
            return list(tx.execute(sa.select(files.c.id).order_by(files.c.id)).scalars())

        return await self.database.read(unit)

    def objects(self) -> list[str]:
        return sorted(stored.key for stored in self.store.list(""))

    async def is_empty(self) -> bool:
        """Whether there is neither a row nor an object, nor a half-written one."""
        later = datetime.now(UTC) + timedelta(hours=1)
        unfinished = self.store.clear_unfinished(later)
        return not await self.rows() and not self.objects() and not unfinished


@pytest.fixture
async def desk(database: Database, store: Store, clock: FakeClock) -> Desk:
    made = Desk(database, store, clock, Caller(new_id(), None), Caller(new_id(), None))
    for caller in (made.caller, made.other):
        row = {"id": caller.organization_id, "name": caller.organization_id}
        await database.write(
            lambda tx, row=row: tx.execute(sa.insert(organizations), row | {"created_at": tx.now})
        )
    return made


async def stream(data: bytes, step: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]
