"""Uploads in several requests: opened, sent in one piece or many, completed.

One piece that holds everything goes straight into the file's object. A piece that says its range
is cut into part objects as it arrives, so that a broken connection loses nothing; once every byte
is there the parts are joined, and the platform reads the hash. The store is the truth of what has
arrived.

Where the store has a server of its own the bytes are sent there, and nobody tells the platform: it
looks when the upload is completed, or when what completes itself is asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from usina.kernel.clock import Clock
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Conflict, Invalid, NotFound, TooLarge
from usina.kernel.failpoints import reach
from usina.kernel.files import store as rows
from usina.kernel.files.file import File, Upload
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.name import display_name
from usina.kernel.files.part import join, parts_of, received_bytes, take_parts
from usina.kernel.files.sent import take_sent
from usina.kernel.files.sniff import UNKNOWN, sniff
from usina.kernel.ids import is_id, new_id
from usina.kernel.storage.digest import Digest
from usina.kernel.storage.intake import Intake
from usina.kernel.storage.store import Presigned, Store
from usina.kernel.tenancy.caller import Caller
from usina.kernel.text import without_nul

_BATCH: Final = 100
_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"

Also = Callable[[Transaction, Upload], None]
"""What must be written together with a new upload, such as its idempotency record."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one request brings: the bytes from ``start`` to before ``stop``, of ``total``.

    Null where the request does not say. ``resumable`` pieces are kept when they break off.
    """

    start: int = 0
    stop: int | None = None
    total: int | None = None
    resumable: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How many bytes from the beginning are there, and whether they are all."""

    received_bytes: int
    complete: bool


class Uploads:
    """Files on their way."""

    def __init__(self, database: Database, store: Store, clock: Clock, limits: FileLimits) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._limits = limits
        self._joining: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(
        self,
        caller: Caller,
        name: str,
        media_type: str | None,
        size_bytes: int | None,
        also: Also | None = None,
    ) -> Upload:
        """A place to send bytes to; without a size it becomes a file with its last byte."""
        upload = self._new(caller, name, media_type, size_bytes)

        def unit(tx: Transaction) -> None:
            self._limits.keep_room(tx, upload.organization_id, upload.size_bytes or 0)
            rows.insert_upload(tx, upload)
            if also is not None:
                also(tx, upload)

        await self._database.write(unit, tenant=caller.organization_id)
        return upload

    def _new(
        self, caller: Caller, name: str, media_type: str | None, size_bytes: int | None
    ) -> Upload:
        if size_bytes is not None:
            self._check_size(size_bytes)
        now = self._clock.now()
        return Upload(
            id=new_id(),
            organization_id=caller.organization_id,
            name=display_name(name),
            media_type=without_nul(media_type or UNKNOWN)[:255],
            size_bytes=size_bytes,
            sha256=None,
            completes_itself=size_bytes is None,
            created_at=now,
            expires_at=now + self._limits.upload_time,
        )

    def presigned(self, upload: Upload) -> Presigned | None:
        """How to send the bytes into the store itself; null where the platform takes them."""
        seconds = int((upload.expires_at - upload.created_at).total_seconds())
        return self._store.presigned_put(upload.sent_key, seconds, upload.size_bytes)

    async def settle(self, organization_id: str, ids: Collection[str]) -> bool:
        """Makes files of those that complete themselves and whose bytes the store has by now.

        Whether there may be a file more than before. Raises ``Invalid`` or ``TooLarge`` for bytes
        that no file may have.
        """
        tickets = await self._database.read(
            lambda tx: rows.find_tickets(tx, organization_id, ids), tenant=organization_id
        )
        settled = [await self._take_sent(ticket) for ticket in tickets]
        return any(settled)

    async def settle_late(self) -> None:
        """The same for all whose time is over: what was sent in time is not swept as late."""
        last_id = _FIRST_ID
        while late := await self._database.read(
            partial(rows.late_tickets, after_id=last_id, limit=_BATCH)
        ):
            last_id = late[-1].id
            for ticket in late:
                with suppress(Invalid, TooLarge, NotFound):
                    await self._take_sent(ticket)

    async def progress(self, upload_id: str, total: int | None) -> Progress:
        """How far an upload has come; ``total`` is its size by who asks."""
        upload = await self._open(upload_id)
        if isinstance(upload, File) or upload.sha256 is not None:
            return Progress(upload.size_bytes or 0, complete=True)
        return await self._joined(upload, self._expected(upload, total))

    async def receive(self, upload_id: str, piece: Piece, chunks: AsyncIterator[bytes]) -> Progress:
        """Takes one piece in. One that begins after what is there is not read at all."""
        upload = await self._open(upload_id)
        if isinstance(upload, File) or upload.sha256 is not None:
            return Progress(upload.size_bytes or 0, complete=True)
        expected = self._expected(upload, piece.total)
        if not piece.resumable and piece.stop in {None, expected or piece.stop}:
            return await self._receive_whole(upload, expected or piece.stop, chunks)
        parts = await self._store.run(lambda: parts_of(self._store, upload))
        if piece.start > received_bytes(parts):
            return Progress(received_bytes(parts), complete=False)
        limit = (piece.stop or expected or self._limits.max_upload_bytes) - piece.start
        await take_parts(self._store, upload, piece.start, limit, chunks)
        return await self._joined(upload, expected)

    async def complete(self, caller: Caller, upload_id: str) -> tuple[File, bool]:
        """The file, and whether this call has made it one."""
        upload = await self._open(upload_id)
        if upload.organization_id != caller.organization_id:
            raise NotFound
        if (
            isinstance(upload, Upload)
            and upload.sha256 is None
            and not await self._take_sent(upload)
        ):
            progress = await self._joined(upload, upload.size_bytes)
            if not progress.complete and not await self._adopt(upload):
                raise _incomplete(progress.received_bytes, upload.size_bytes)

        def unit(tx: Transaction) -> tuple[File | None, bool]:
            made = rows.complete_upload(tx, upload_id)
            return rows.find_file(tx, caller.organization_id, upload_id), made

        file, made = await self._database.write(unit, tenant=caller.organization_id)
        if file is None:
            raise NotFound
        return file, made

    async def _open(self, upload_id: str) -> Upload | File:
        """By its id alone: its signed address stands for its organization."""
        if is_id(upload_id):
            found = await self._database.read(lambda tx: rows.find_upload(tx, upload_id))
            if found is not None:
                return found
        raise NotFound

    def _expected(self, upload: Upload, total: int | None) -> int | None:
        if total is None:
            return upload.size_bytes
        if upload.size_bytes not in {None, total}:
            raise Invalid.at(
                "/Content-Range",
                f"The upload was opened for {upload.size_bytes} bytes, this says {total}.",
                code="upload_size",
            )
        self._check_size(total)
        return total

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes <= 0:
            raise Invalid.at("/size_bytes", "The file is empty.", code="empty_file")
        if size_bytes > self._limits.max_upload_bytes:
            raise TooLarge(
                f"A file has at most {self._limits.max_upload_bytes} bytes"
                " (USINA_MAX_UPLOAD_BYTES)."
            )

    def _check_sent(self, upload: Upload, size_bytes: int) -> None:
        self._check_size(size_bytes)
        if upload.size_bytes not in {None, size_bytes}:
            raise Invalid(
                f"The upload was opened for {upload.size_bytes} bytes, {size_bytes} were sent;"
                " send it again.",
                code="upload_size",
            )

    async def _receive_whole(
        self, upload: Upload, expected: int | None, chunks: AsyncIterator[bytes]
    ) -> Progress:
        limit = expected or self._limits.max_upload_bytes
        async with Intake(self._store, upload.key, limit) as intake:
            await intake.take(chunks)
            if intake.size_bytes == 0:
                raise Invalid("The file is empty.", code="empty_file")
            if expected is not None and intake.size_bytes < expected:
                raise _incomplete(intake.size_bytes, expected)
            async with self._lock(upload):
                if not await self._has_content(upload):
                    await self._record(upload, await intake.commit(), ())
        return Progress(intake.size_bytes, complete=True)

    async def _joined(self, upload: Upload, expected: int | None) -> Progress:
        """Joins the parts once they are all there."""
        async with self._lock(upload):
            if await self._has_content(upload):
                return Progress(upload.size_bytes or expected or 0, complete=True)
            parts = await self._store.run(lambda: parts_of(self._store, upload))
            received = received_bytes(parts)
            if expected is None or received < expected:
                return Progress(received, complete=False)
            if received > expected:
                raise TooLarge(f"There are {received} bytes, {expected} were announced.")
            digest = await self._store.run(lambda: join(self._store, upload, parts))
            await self._record(upload, digest, [part.key for part in parts])
            return Progress(received, complete=True)

    async def _take_sent(self, upload: Upload) -> bool:
        """Whether there was something, here or, in the meantime, for another request."""
        async with self._lock(upload):
            if not await self._database.read(lambda tx: rows.awaits_content(tx, upload.id)):
                return True
            object_id = new_id()
            key = File.key_of(upload.organization_id, upload.id, object_id)

            check = partial(self._check_sent, upload)
            digest = await self._store.run(lambda: take_sent(self._store, upload, key, check))
            if digest is None:
                return False
            await self._record(upload, digest, [upload.sent_key], object_id)
            return True

    async def _adopt(self, upload: Upload) -> bool:
        """Takes an object that is whole already: its row was not written before a crash."""
        async with self._lock(upload):
            digest = await self._store.run(lambda: self._read_whole(upload))
            if digest is None:
                return False
            await self._record(upload, digest, ())
            return True

    def _read_whole(self, upload: Upload) -> Digest | None:
        if upload.size_bytes is None or self._store.size(upload.key) != upload.size_bytes:
            return None
        digest = Digest()
        for step in self._store.chunks(upload.key, 0, upload.size_bytes):
            digest.update(step)
        return digest

    async def _has_content(self, upload: Upload) -> bool:
        now = await self._open(upload.id)
        return isinstance(now, File) or now.sha256 is not None

    async def _record(
        self, upload: Upload, digest: Digest, sources: Sequence[str], object_id: str | None = None
    ) -> None:
        """The upload's row tells of the object; what the object was made of goes."""
        reach("upload.after_put")
        media_type = sniff(
            digest.head, digest.size_bytes, declared=upload.media_type, name=upload.name
        )

        def unit(tx: Transaction) -> bool:
            if upload.size_bytes is None:
                self._limits.keep_room(tx, upload.organization_id, digest.size_bytes)
            return rows.record_content(tx, upload, media_type, digest, object_id)

        recorded = await self._database.write(unit, tenant=upload.organization_id)
        if recorded:
            await self._store.run(lambda: self._store.delete(sources))
            return
        if object_id is not None:
            key = File.key_of(upload.organization_id, upload.id, object_id)
            await self._store.run(lambda: self._store.delete([key]))
        await self._open(upload.id)

    def _lock(self, upload: Upload) -> asyncio.Lock:
        """One request at a time may give an upload its content."""
        return self._joining.setdefault(upload.id, asyncio.Lock())


def _incomplete(received: int, expected: int | None) -> Conflict:
    of_all = "" if expected is None else f" of {expected}"
    return Conflict(
        f"{received}{of_all} bytes are there; send the rest, then complete the upload.",
        code="upload_incomplete",
    )
