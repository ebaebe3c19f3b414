"""Files: received as a stream, kept under their hash, deleted when nothing needs them."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from typing import Final

from usina.kernel.clock import Clock
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, Invalid, NotFound, TooLarge
from usina.kernel.files import store as rows
from usina.kernel.files.file import File
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.reception import Reception
from usina.kernel.files.upload import Uploads
from usina.kernel.ids import is_id
from usina.kernel.storage.store import Store
from usina.kernel.tenancy.audit import Note, unnoted
from usina.kernel.tenancy.caller import Caller

InUse = Callable[[Transaction, str], bool]
"""Whether an unfinished job reads a file; jobs stand above files."""


class Files:
    """The service of the room; ``uploads`` are files that arrive in several requests."""

    def __init__(
        self, database: Database, store: Store, clock: Clock, in_use: InUse, limits: FileLimits
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._in_use = in_use
        self._limits = limits
        self.uploads: Final = Uploads(database, store, clock, limits)

    def reception(self, organization_id: str) -> Reception:
        """For files that are kept together with something else, or not at all."""
        return Reception(self._store, self._clock, organization_id, self._limits)

    async def receive(
        self, caller: Caller, name: str, declared_type: str | None, chunks: AsyncIterator[bytes]
    ) -> File:
        """A file out of a stream; whatever stops it half-way leaves nothing."""
        async with self.reception(caller.organization_id) as reception:
            file = await reception.take_in(name, declared_type, chunks)
            await self._database.write(reception.insert, tenant=caller.organization_id)
            return file

    async def get(self, caller: Caller, file_id: str) -> File:
        if not is_id(file_id):
            raise NotFound
        look = partial(rows.find_file, organization_id=caller.organization_id, file_id=file_id)
        found = await self._database.read(look, tenant=caller.organization_id)
        if found is None and await self._settled(caller, file_id):
            found = await self._database.read(look, tenant=caller.organization_id)
        if found is None:
            raise NotFound
        return found

    async def _settled(self, caller: Caller, file_id: str) -> bool:
        """Bytes that no file may have make none, so there is nothing to tell of."""
        try:
            return await self.uploads.settle(caller.organization_id, [file_id])
        except (Invalid, TooLarge):
            return False

    def read(self, file: File, start: int, stop: int) -> AsyncGenerator[memoryview]:
        """The bytes from ``start`` to before ``stop`` in large steps."""
        return self._store.read(file.key, start, stop)

    async def delete(self, caller: Caller, file_id: str, note: Note = unnoted) -> None:
        """Refused with ``file_in_use`` while an unfinished job reads the file."""
        if not is_id(file_id):
            raise NotFound

        def unit(tx: Transaction) -> File:
            file = rows.find_file(tx, caller.organization_id, file_id, to_delete=True)
            if file is None:
                raise NotFound
            if self._in_use(tx, file_id):
                raise Conflict(
                    "An unfinished job reads this file; cancel it or wait for its end.",
                    code="file_in_use",
                )
            rows.delete_file(tx, file_id)
            note(tx)
            return file

        try:
            file = await self._database.write(unit, tenant=caller.organization_id)
        except NotFound:
            if not await self._settled(caller, file_id):
                raise
            file = await self._database.write(unit, tenant=caller.organization_id)
        await self._store.run(lambda: self._store.delete([file.key]))
