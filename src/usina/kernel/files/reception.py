"""Files on their way in: objects that wait for the transaction that makes them files."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

from usina.kernel.clock import Clock
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Invalid
from usina.kernel.failpoints import reach
from usina.kernel.files.file import File
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.name import display_name
from usina.kernel.files.sniff import sniff
from usina.kernel.files.store import insert_files
from usina.kernel.ids import new_id
from usina.kernel.storage.intake import Intake
from usina.kernel.storage.store import Store


class Reception:
    """Takes files in, and lets go of them again unless a transaction has kept them.

    ``async with files.reception(organization_id) as reception`` takes any number in;
    :meth:`insert` is then called inside the one transaction that needs them.
    """

    def __init__(
        self, store: Store, clock: Clock, organization_id: str, limits: FileLimits
    ) -> None:
        self._store = store
        self._clock = clock
        self._organization_id = organization_id
        self._limits = limits
        self._inserting = False
        self._kept = False
        self.files: Final[list[File]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        unknown = self._inserting and isinstance(error, asyncio.CancelledError)
        if self._kept or unknown or not self.files:
            return  # whether an abandoned commit has happened is for the sweep to judge
        keys = [file.key for file in self.files]
        await self._store.run(lambda: self._store.delete(keys))

    async def take_in(
        self,
        name: str,
        declared_type: str | None,
        chunks: AsyncIterator[bytes],
        *,
        pointer: str = "/file",
    ) -> File:
        """Streams one file into the store; whatever stops it half-way leaves nothing.

        Raises ``TooLarge``, ``StorageFull``, ``Invalid`` (``empty_file``, at the pointer).
        """
        file_id = new_id()
        key = File.key_of(self._organization_id, file_id)
        async with Intake(self._store, key, self._limits.max_upload_bytes) as intake:
            await intake.take(chunks)
            if intake.size_bytes == 0:
                raise Invalid.at(pointer, "The file is empty.", code="empty_file")
            digest = await intake.commit()
        file = File(
            id=file_id,
            organization_id=self._organization_id,
            name=display_name(name),
            media_type=sniff(digest.head, digest.size_bytes, declared=declared_type, name=name),
            size_bytes=digest.size_bytes,
            sha256=digest.sha256,
            created_at=self._clock.now(),
        )
        self.files.append(file)
        reach("upload.after_put")
        return file

    def insert(self, tx: Transaction) -> None:
        """With the commit of this transaction they are files."""
        self._inserting = True
        size_bytes = sum(file.size_bytes for file in self.files)
        self._limits.keep_room(tx, self._organization_id, size_bytes)
        insert_files(tx, self.files)
        tx.after_commit(self._keep)

    def _keep(self) -> None:
        self._kept = True
