"""Every object of one store into another, its hash checked on the way."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from threading import Event
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.connect import in_greenlet
from usina.kernel.db.schema import metadata
from usina.kernel.errors import Unavailable
from usina.kernel.failpoints import reach
from usina.kernel.ids import is_id
from usina.kernel.moving.rows import Watch
from usina.kernel.storage.digest import Digest
from usina.kernel.storage.marker import MARKER
from usina.kernel.storage.store import Store, StoredObject

_BATCH: Final = 500
_AT_ONCE: Final = 4

Hashes = Callable[[Sequence[str]], Awaitable[dict[str, str]]]
"""The SHA-256 that rows give for keys; a key that no row has a hash for is not among them."""


@dataclass(slots=True)
class ObjectReport:
    """``present`` were there already, with these bytes. ``damaged`` are keys whose bytes in the
    source are not those that their rows tell of; they were carried as they are."""

    copied: int = 0
    present: int = 0
    size_bytes: int = 0
    damaged: list[str] = field(default_factory=list[str])


def hashes_of(source: sa.Connection) -> Hashes:
    """A key ends in the id of its row, whatever table that is in."""
    tables = [t for t in metadata.sorted_tables if {"id", "sha256"} <= set(t.columns.keys())]

    def find(keys: Sequence[str]) -> dict[str, str]:
        by_id = {last: key for key in keys if is_id(last := key.rpartition("/")[2])}
        found: dict[str, str] = {}
        for table in tables:
            rows = sa.select(table.c.id, table.c.sha256).where(
                table.c.id.in_(list(by_id)), table.c.sha256.is_not(None)
            )
            found |= {by_id[row.id]: row.sha256 for row in source.execute(rows)}
        return found

    return lambda keys: in_greenlet(lambda: find(keys))


class ObjectMove:
    """From one store to the other, a few at a time. Nothing in the source is changed."""

    def __init__(self, source: Store, target: Store, watch: Watch) -> None:
        self._source = source
        self._target = target
        self._watch = watch
        self._stopped = Event()
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self.report = ObjectReport()

    async def copy(self, look: Hashes) -> None:
        """Objects that are there already with the same size and hash are left as they are."""
        total = await self._source.run(self._whole_size)
        batches = Batches(self._source)
        try:
            while batch := await self._source.run(partial(next, batches, None)):
                hashes = await look([stored.key for stored in batch])
                async with asyncio.TaskGroup() as several:
                    for stored in batch:
                        several.create_task(self._carry(stored, hashes.get(stored.key), total))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            self._stopped.set()

    async def compare(self) -> None:
        """Raises ``Unavailable`` (``copy_differs``) when the target lacks anything."""
        batches = Batches(self._source)
        while batch := await self._source.run(partial(next, batches, None)):
            wrong = await self._target.run(partial(self._different, batch))
            if wrong:
                raise Unavailable(
                    f"{len(wrong)} objects are not in the target as they are in the source, "
                    f"{wrong[0]} for one. Run the copy again.",
                    code="copy_differs",
                )

    def _whole_size(self) -> int:
        return sum(stored.size_bytes for batch in Batches(self._source) for stored in batch)

    def _different(self, batch: Sequence[StoredObject]) -> list[str]:
        return [s.key for s in batch if self._target.size(s.key) != s.size_bytes]

    async def _carry(self, stored: StoredObject, sha256: str | None, total: int) -> None:
        async with self._gate:
            found, new = await self._target.run(partial(self._carry_now, stored, sha256))
        self.report.copied += new
        self.report.present += not new
        self.report.size_bytes += stored.size_bytes
        self._watch("objects", self.report.size_bytes, total)
        if sha256 is not None and found != sha256:
            self.report.damaged.append(stored.key)

    def _carry_now(self, stored: StoredObject, sha256: str | None) -> tuple[str, bool]:
        """The hash of the object, and whether it was not in the target before. Blocks."""
        if self._target.size(stored.key) == stored.size_bytes:
            there = self._hash(self._target, stored)
            if there == (sha256 or self._hash(self._source, stored)):
                return there, False
        digest = Digest()
        out = self._target.writer(stored.key)
        try:
            for step in self._source.chunks(stored.key, 0, stored.size_bytes):
                self._refuse_when_stopped()
                digest.update(step)
                out.write(step)
            out.commit()
        except BaseException:
            out.abort()
            raise
        reach("copy.after_object")
        return digest.sha256, True

    def _hash(self, store: Store, stored: StoredObject) -> str:
        digest = Digest()
        for step in store.chunks(stored.key, 0, stored.size_bytes):
            self._refuse_when_stopped()
            digest.update(step)
        return digest.sha256

    def _refuse_when_stopped(self) -> None:
        if self._stopped.is_set():
            raise InterruptedError("the copy was stopped")


class Batches:
    """A store's objects, some hundred at a time, without the marker. Blocks."""

    def __init__(self, store: Store) -> None:
        self._objects = (stored for stored in store.list("") if stored.key != MARKER)

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> list[StoredObject]:
        batch = list(islice(self._objects, _BATCH))
        if not batch:
            raise StopIteration
        return batch
