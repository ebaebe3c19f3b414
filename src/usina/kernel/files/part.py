"""Parts of an upload: objects named by the range of bytes that they hold."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from usina.kernel.errors import Malformed
from usina.kernel.files.file import Upload
from usina.kernel.storage.digest import Digest
from usina.kernel.storage.store import Data, Store

_PART_BYTES: Final = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from ``start`` to before ``stop`` of an upload."""

    start: int
    stop: int
    key: str


def parts_of(store: Store, upload: Upload) -> list[Part]:
    """What has arrived, in order; parts may overlap. Blocks."""
    found: list[Part] = []
    for stored in store.list(upload.parts_prefix):
        if stored.key == upload.sent_key:
            continue
        start, _, stop = stored.key.rpartition("/")[2].partition("-")
        found.append(Part(int(start), int(stop), stored.key))
    return sorted(found, key=lambda part: (part.start, part.stop))


def received_bytes(parts: Sequence[Part]) -> int:
    """How many bytes from the beginning are there without a gap."""
    reached = 0
    for part in parts:
        if part.start > reached:
            break
        reached = max(reached, part.stop)
    return reached


async def take_parts(
    store: Store, upload: Upload, start: int, limit: int, chunks: AsyncIterator[bytes]
) -> None:
    """Keeps what arrives from the offset ``start`` on, also when it stops half-way.

    More than ``limit`` bytes are refused.
    """
    buffer = bytearray()
    taken = 0
    try:
        async for chunk in chunks:
            taken += len(chunk)
            if taken > limit:
                raise Malformed(
                    "The body is longer than its range says.", code="malformed_content_range"
                )
            buffer += chunk
            if len(buffer) >= _PART_BYTES:
                full, buffer = buffer, bytearray()
                await store.run(partial(_put, store, upload, start, full))
                start += len(full)
    finally:
        if buffer:
            await store.run(partial(_put, store, upload, start, buffer))


def _put(store: Store, upload: Upload, start: int, data: Data) -> None:
    store.put(f"{upload.parts_prefix}{start:015}-{start + len(data):015}", data)


def join(store: Store, upload: Upload, parts: Sequence[Part]) -> Digest:
    """The upload's object out of parts without a gap, and what it holds. Blocks."""
    digest = Digest()
    writer = store.writer(upload.key)
    try:
        for step in _in_order(store, parts):
            digest.update(step)
            writer.write(step)
        writer.commit()
    except BaseException:
        writer.abort()
        raise
    return digest


def _in_order(store: Store, parts: Sequence[Part]) -> Iterator[memoryview]:
    reached = 0
    for part in parts:
        if part.stop > reached:
            yield from store.chunks(part.key, reached - part.start, part.stop - part.start)
            reached = part.stop
