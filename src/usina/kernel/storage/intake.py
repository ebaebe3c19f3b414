"""From a stream that arrives on the event loop to an object, never held whole.

While a thread hashes and writes one batch, the loop gathers the next; at most two are in memory.
"""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

from usina.kernel.errors import TooLarge
from usina.kernel.storage.digest import Digest
from usina.kernel.storage.store import Store, Writer

_BATCH_BYTES: Final = 512 * 1024


class Intake:
    """One object that is being received; leaving it without :meth:`commit` leaves nothing.

    ``limit`` is the most bytes it may have; more raise ``TooLarge``.
    """

    def __init__(self, store: Store, key: str, limit: int) -> None:
        self._store = store
        self._key = key
        self._limit = limit
        self._digest = Digest()
        self._writer: Writer | None = None
        self._batch: list[bytes] = []
        self._batched = 0
        self._writing: asyncio.Future[None] | None = None
        self._committed = False
        self.size_bytes = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])
        if self._writer is not None and not self._committed:
            await self._store.run(self._writer.abort)

    async def take(self, chunks: AsyncIterator[bytes]) -> None:
        """Receives the chunks to their end."""
        async for chunk in chunks:
            self.size_bytes += len(chunk)
            if self.size_bytes > self._limit:
                raise TooLarge(f"At most {self._limit} bytes are taken here.")
            self._batch.append(chunk)
            self._batched += len(chunk)
            if self._batched >= _BATCH_BYTES:
                await self._write_batch()

    async def commit(self) -> Digest:
        """Makes the object visible and durable."""
        await self._written()
        batch = self._batch
        await self._store.run(lambda: self._finish(batch))
        self._committed = True
        return self._digest

    async def _write_batch(self) -> None:
        await self._written()
        batch, self._batch, self._batched = self._batch, [], 0
        self._writing = asyncio.ensure_future(self._store.run(lambda: self._write(batch)))

    async def _written(self) -> None:
        if self._writing is not None:
            await self._writing
            self._writing = None

    def _write(self, batch: list[bytes]) -> None:
        if self._writer is None:
            self._writer = self._store.writer(self._key)
        for chunk in batch:
            self._digest.update(chunk)
            self._writer.write(chunk)

    def _finish(self, batch: list[bytes]) -> None:
        self._write(batch)
        assert self._writer is not None
        self._writer.commit()
