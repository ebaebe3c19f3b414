"""Keeping objects and rows together: what only one side knows of is found and put right.

An object comes before its row and goes after it, so a process that is killed in between leaves an
object that nobody names: an orphan, deleted here. A row whose object is gone is never deleted,
only marked and told of. Nothing at all is deleted from a store whose marker does not name this
database's platform, so that neither an empty nor a foreign database can do harm.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final, Protocol

import structlog

from usina.kernel.db.meta import platform_id
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.failpoints import reach
from usina.kernel.storage.marker import MARKER, belongs_to
from usina.kernel.storage.store import Store

_log: structlog.stdlib.BoundLogger = structlog.get_logger()

_BATCH: Final = 500
_COARSE: Final = timedelta(milliseconds=50)
"""By so much a file's time may be early: file systems read a clock that ticks slowly."""

_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row that should have an object; ``missing`` when an earlier sweep found it gone."""

    id: str
    key: str
    missing: bool


@dataclass(frozen=True, slots=True)
class Expired:
    """Rows that were looked at because their time is over, and the objects of those that went."""

    examined: int
    keys: Sequence[str]


class Owner(Protocol):
    """A room whose rows name objects under one prefix."""

    prefix: str
    row_first: bool
    """Whether a row is always there before its objects; else young ones may await theirs."""

    def known(self, tx: Transaction, keys: Sequence[str]) -> set[str]:
        """Those of the keys that rows name."""
        ...

    def stored_after(self, tx: Transaction, last_id: str, limit: int) -> Sequence[StoredRow]:
        """The next rows that should have an object, in order of their ids."""
        ...

    def mark(self, tx: Transaction, row_ids: Sequence[str], missing: bool) -> int:
        """Keeps with the rows whether their objects are gone; how many are still there."""
        ...

    def expire(self, tx: Transaction, limit: int) -> Expired:
        """Deletes up to ``limit`` rows whose time is over."""
        ...


@dataclass(slots=True)
class SweepReport:
    """What one sweep has done."""

    refused: bool = False
    expired: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    unfinished: int = 0
    missing: int = 0


class Sweeper:
    """``settle`` gives what is late its last chance, before rows expire."""

    def __init__(
        self,
        database: Database,
        store: Store,
        owners: Sequence[Owner],
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._store = store
        self._owners = owners
        self._settle = settle
        self._suspects: set[str] = set()

    async def sweep(self, grace: timedelta) -> SweepReport:
        """Looks at everything once.

        An object without a row is deleted when it is older than ``grace`` and an earlier sweep
        has seen it too: a suspended machine may wake between an object and its row. A grace of
        zero is for a store that nobody else writes to: what is older than its opening can not
        await a row any more, and one look is enough. Ages are by the store's clock alone.
        """
        platform = await self._database.read(platform_id)
        if not await self._store.run(lambda: belongs_to(self._store, platform)):
            _log.error("store is not this platform's: nothing is swept", marker=MARKER, id=platform)
            return SweepReport(refused=True)
        report = SweepReport()
        alone = grace == timedelta(0)
        before = self._store.opened_at - _COARSE
        if not alone:
            before = await self._store.run(self._store.now) - grace
        await self._settle()
        report.unfinished = await self._store.run(lambda: self._store.clear_unfinished(before))
        suspects: set[str] = set()
        for owner in self._owners:
            await self._expire(owner, report)
            look = _Look(owner, None if owner.row_first else before, suspects)
            await self._delete_orphans(look, report, certain=alone or owner.row_first)
            await self._mark_missing(owner, report)
        self._suspects = suspects
        return report

    async def _expire(self, owner: Owner, report: SweepReport) -> None:
        while True:
            expired = await self._database.write(lambda tx: owner.expire(tx, _BATCH))
            await self._delete(expired.keys)
            report.expired += len(expired.keys)
            if expired.examined < _BATCH:
                return

    async def _delete_orphans(self, look: "_Look", report: SweepReport, *, certain: bool) -> None:
        objects = self._store.list(look.owner.prefix)
        while found := await self._store.run(lambda: list(islice(objects, _BATCH))):
            old = {o.key: o for o in found if look.before is None or o.modified_at < look.before}
            known = await self._database.read(partial(look.owner.known, keys=list(old)))
            orphans = [stored for key, stored in old.items() if key not in known]
            if not certain:
                look.suspects.update(orphan.key for orphan in orphans)
                orphans = [orphan for orphan in orphans if orphan.key in self._suspects]
            await self._delete([orphan.key for orphan in orphans])
            report.orphans += len(orphans)
            report.orphan_bytes += sum(orphan.size_bytes for orphan in orphans)

    async def _mark_missing(self, owner: Owner, report: SweepReport) -> None:
        last_id = _FIRST_ID
        while rows := await self._database.read(
            partial(owner.stored_after, last_id=last_id, limit=_BATCH)
        ):
            last_id = rows[-1].id
            gone = await self._store.run(partial(self._gone, rows))
            known = [row.id for row in rows if row.id in gone and row.missing]
            lost = [row.id for row in rows if row.id in gone and not row.missing]
            back = [row.id for row in rows if row.id not in gone and row.missing]
            report.missing += len(known) + await self._mark(owner, lost, missing=True)
            await self._mark(owner, back, missing=False)

    async def _mark(self, owner: Owner, row_ids: Sequence[str], *, missing: bool) -> int:
        """A row that was deleted meanwhile, with its object, is not worth a word."""
        if not row_ids:
            return 0
        marked = await self._database.write(partial(owner.mark, row_ids=row_ids, missing=missing))
        if marked and missing:
            _log.error("objects are gone", prefix=owner.prefix, count=marked, ids=row_ids[:20])
        return marked

    def _gone(self, rows: Sequence[StoredRow]) -> set[str]:
        return {row.id for row in rows if self._store.size(row.key) is None}

    async def _delete(self, keys: Sequence[str]) -> None:
        if keys:
            await self._store.run(lambda: self._store.delete(keys))
            reach("sweep.after_object")


@dataclass(frozen=True, slots=True)
class _Look:
    """One pass over an owner's objects, those older than ``before``; doubts are gathered."""

    owner: Owner
    before: datetime | None
    suspects: set[str]
