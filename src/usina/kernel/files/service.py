"""Files: received as a stream, kept under their hash, deleted when nothing needs them."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

from usina.kernel.clock import Clock
from usina.kernel.db.unit_of_work import Database, Transaction, Unit
from usina.kernel.errors import Conflict, Invalid, NotFound
from usina.kernel.failpoints import reach
from usina.kernel.files import store as rows
from usina.kernel.files.file import File
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.name import display_name
from usina.kernel.files.sniff import sniff
from usina.kernel.files.upload import Uploads
from usina.kernel.ids import is_id, new_id
from usina.kernel.storage.intake import Intake
from usina.kernel.storage.store import Store
from usina.kernel.tenancy.caller import Caller

T = TypeVar("T")

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

    async def receive(
        self, caller: Caller, name: str, declared_type: str | None, chunks: AsyncIterator[bytes]
    ) -> File:
        """A file out of a stream; whatever stops it half-way leaves nothing."""
        file = await self.take_in(caller, name, declared_type, chunks)
        await self.keep(lambda tx: rows.insert_files(tx, [file]), [file])
        return file

    async def take_in(
        self,
        caller: Caller,
        name: str,
        declared_type: str | None,
        chunks: AsyncIterator[bytes],
        *,
        pointer: str = "/file",
    ) -> File:
        """The object of a file whose row is still to be written: see :meth:`keep`.

        Raises ``TooLarge``, ``Invalid`` (``empty_file`` at the pointer), ``StorageFull``.
        """
        file_id = new_id()
        key = File.key_of(caller.organization_id, file_id)
        async with Intake(self._store, key, self._limits.max_upload_bytes) as intake:
            await intake.take(chunks)
            if intake.size_bytes == 0:
                raise Invalid.at(pointer, "The file is empty.", code="empty_file")
            digest = await intake.commit()
        reach("upload.after_put")
        return File(
            id=file_id,
            organization_id=caller.organization_id,
            name=display_name(name),
            media_type=sniff(digest.head, digest.size_bytes, declared=declared_type, name=name),
            size_bytes=digest.size_bytes,
            sha256=digest.sha256,
            created_at=self._clock.now(),
        )

    async def keep(self, unit: Unit[T], received: Sequence[File]) -> T:
        """Runs the unit that writes the rows; when it is refused, the objects go again.

        The unit calls :func:`usina.kernel.files.store.insert_files`. Where it is not known whether
        it was committed, the objects stay for the sweep to judge.
        """
        try:
            return await self._database.write(unit)
        except Exception:
            await self.discard(received)
            raise

    async def discard(self, received: Sequence[File]) -> None:
        """Deletes objects that have no rows."""
        await self._delete_objects([file.key for file in received])

    async def get(self, caller: Caller, file_id: str) -> File:
        if is_id(file_id):
            found = await self._database.read(
                lambda tx: rows.find_file(tx, caller.organization_id, file_id)
            )
            if found is not None:
                return found
        raise NotFound

    def read(self, file: File, start: int, stop: int) -> AsyncGenerator[memoryview]:
        """The bytes from ``start`` to before ``stop`` in large steps."""
        return self._store.read(file.key, start, stop)

    async def delete(self, caller: Caller, file_id: str) -> None:
        """Refused with ``file_in_use`` while an unfinished job reads the file."""
        if not is_id(file_id):
            raise NotFound

        def unit(tx: Transaction) -> File:
            file = rows.find_file(tx, caller.organization_id, file_id)
            if file is None:
                raise NotFound
            if self._in_use(tx, file_id):
                raise Conflict(
                    "An unfinished job reads this file; cancel it or wait for its end.",
                    code="file_in_use",
                )
            rows.delete_file(tx, file_id)
            return file

        file = await self._database.write(unit)
        await self._delete_objects([file.key])

    async def _delete_objects(self, keys: Sequence[str]) -> None:
        await self._store.run(lambda: self._store.delete(keys))
