"""A platform, from one database and store to another of either kind.

Objects come before rows here too, and what is begun is marked in the target until all of it is
there. So a copy that is killed leaves a target that no platform starts on, and goes on when it is
asked for again: with the objects that are still missing, and with all rows, which come in one
transaction.
"""

import time
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.connect import (
    Address,
    connected,
    in_greenlet,
    open_database,
    shown,
    upgrade_database,
)
from usina.kernel.db.meta import COPYING, meta, renew_epoch
from usina.kernel.db.migrations import HEAD, revision_of
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound, Unavailable
from usina.kernel.failpoints import reach
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.jobs.store.ending import hand_back
from usina.kernel.jobs.table import RUNNING, jobs
from usina.kernel.moving.objects import ObjectMove, ObjectReport, hashes_of
from usina.kernel.moving.rows import Watch, copy_rows, count_rows, refuse_unknown_tables
from usina.kernel.storage.marker import belongs_to, claim
from usina.kernel.storage.store import Store
from usina.kernel.tenancy.table import organizations

_OTHERS: Final = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True, slots=True)
class Source:
    """``store`` is null where the objects lie in the target's store already."""

    database: Address
    store: Store | None


@dataclass(frozen=True, slots=True)
class Target:
    database: Address
    store: Store


@dataclass(slots=True)
class MoveReport:
    """``resumed``: an earlier copy had begun. ``requeued`` jobs were running in the source."""

    platform_id: str
    resumed: bool
    tables: dict[str, int] = field(default_factory=dict[str, int])
    objects: ObjectReport = field(default_factory=ObjectReport)
    requeued: int = 0
    seconds: float = 0.0


async def move(source: Source, target: Target, watch: Watch) -> MoveReport:
    """Copies the platform of ``source``, which nobody may use meanwhile.

    Raises ``NotFound`` or ``Conflict`` for what can not be a source or a target, ``Unavailable`` or
    ``StorageFull`` where a server or a disk gives up: asked for again, the copy goes on.
    """
    began = time.monotonic()
    async with connected(source.database, read_only=True) as origin:
        platform_id = await in_greenlet(lambda: _platform_in(origin, source.database))
        await upgrade_database(target.database)
        async with connected(target.database, read_only=False) as there:
            resumed = await in_greenlet(lambda: _begin(there, target.database, platform_id))
            reach("copy.after_mark")
            report = MoveReport(platform_id, resumed)
            report.objects = await _move_objects(source, target, origin, platform_id, watch)
            report.tables = await in_greenlet(lambda: copy_rows(origin, there, watch))
            reach("copy.after_rows")
            await in_greenlet(lambda: _compare_counts(origin, there))
    report.requeued = await _finish(target.database)
    reach("copy.after_commit")
    report.seconds = round(time.monotonic() - began, 3)
    return report


def _platform_in(origin: sa.Connection, address: Address) -> str:
    """The id of a whole platform that nobody is connected to."""
    if (revision := revision_of(origin)) is None:
        raise NotFound(f"There is no platform in {shown(address)}.")
    if revision != HEAD:
        raise Conflict(
            f"{shown(address)} is at revision {revision} and not at {HEAD}. Run `usina db upgrade` "
            "on it first.",
            code="copy_source_revision",
        )
    refuse_unknown_tables(origin)
    known = _meta_of(origin)
    if COPYING in known or "platform_id" not in known:
        raise NotFound(f"There is no whole platform in {shown(address)}, only a copy half made.")
    if origin.dialect.name == "postgresql" and (others := origin.execute(_OTHERS).scalar_one()):
        raise Conflict(
            f"Others are connected to the {shown(address)} ({others}). Stop every `usina api`, "
            "`usina worker` and `usina beat`, and whatever else uses it.",
            code="copy_source_in_use",
        )
    return known["platform_id"]


def _meta_of(connection: sa.Connection) -> dict[str, str]:
    return {row.key: row.value for row in connection.execute(sa.select(meta))}


def _begin(there: sa.Connection, address: Address, platform_id: str) -> bool:
    """Marks an empty target; whether this platform's copy had begun already."""
    with there.begin():
        known = _meta_of(there)
        if known.get(COPYING) == platform_id:
            return True
        inhabited = there.execute(sa.select(organizations.c.id).limit(1)).first() is not None
        if inhabited or COPYING in known:
            what = "a half made copy of another platform" if COPYING in known else "a platform"
            if known.get("platform_id") == platform_id:
                what = "this very platform, whole,"
            raise Conflict(
                f"There is {what} in {shown(address)} already. Give an empty database; this one "
                "is left as it was.",
                code="copy_target_not_empty",
            )
        there.execute(sa.delete(meta))
        there.execute(sa.insert(meta), {"key": COPYING, "value": platform_id})
    return False


async def _move_objects(
    source: Source, target: Target, origin: sa.Connection, platform_id: str, watch: Watch
) -> ObjectReport:
    store = target.store
    if source.store is None:
        if not await store.run(lambda: belongs_to(store, platform_id)):
            raise NotFound(
                "The objects of this platform are neither in its folder nor in the store."
            )
        return ObjectReport()
    if not await store.run(lambda: claim(store, platform_id)):
        raise Conflict(
            "The store to copy to holds something else. Give an empty one, or another prefix of "
            "the bucket; this one is left as it was.",
            code="copy_target_not_empty",
        )
    await store.run(lambda: store.clear_unfinished(store.opened_at))
    objects = ObjectMove(source.store, store, watch)
    await objects.copy(hashes_of(origin))
    await objects.compare()
    return objects.report


def _compare_counts(origin: sa.Connection, there: sa.Connection) -> None:
    """Read back: what was written is what was to be written."""
    wanted, found = count_rows(origin), count_rows(there)
    if wrong := [name for name in wanted if wanted[name] != found[name]]:
        raise Unavailable(
            f"The target does not have as many rows as the source in {', '.join(wrong)}. Run the "
            "copy again.",
            code="copy_differs",
        )


async def _finish(address: Address) -> int:
    """Makes a platform of what is there; how many jobs start again, since their worker stayed."""

    def unit(tx: Transaction) -> int:
        running = sa.select(jobs.c.id, jobs.c.attempt, jobs.c.lease_token).where(RUNNING)
        leases = [Lease(row.id, row.attempt, row.lease_token) for row in tx.execute(running)]
        hand_back(tx, leases, lambda events: None)
        renew_epoch(tx)
        tx.execute(sa.delete(meta).where(meta.c.key == COPYING))
        return len(leases)

    database = open_database(address)
    try:
        return await database.write(unit)
    finally:
        await database.close()
