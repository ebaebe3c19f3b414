"""Receiving a stream: bounded, hashed on the way, and nothing left of what stops half-way."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.conftest import SMALL_DISK_BYTES, everything_in
from usina.kernel.errors import StorageFull, TooLarge
from usina.kernel.storage.digest import HEAD_BYTES, Digest
from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.intake import Intake
from usina.kernel.storage.store import Store

KEY = "files/organization/one"
MIB = 1024**2


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def nothing_is_left(store: Store) -> bool:
    later = datetime.now(UTC) + timedelta(hours=1)
    return not list(store.list("")) and store.clear_unfinished(later) == 0


@pytest.mark.parametrize("sizes", [[], [0], [5], [MIB], [MIB - 1, 2], [3 * MIB, 1, 2 * MIB]])
async def test_all_is_stored_and_measured(store: Store, sizes: list[int]) -> None:
    chunks = [bytes([n]) * size for n, size in enumerate(sizes)]
    whole = b"".join(chunks)
    async with Intake(store, KEY, 10 * MIB) as intake:
        await intake.take(stream(*chunks))
        assert intake.size_bytes == len(whole)
        digest = await intake.commit()
    assert digest.size_bytes == len(whole)
    assert digest.sha256 == hashlib.sha256(whole).hexdigest()
    assert digest.head == whole[:HEAD_BYTES]
    assert b"".join(store.chunks(KEY, 0, len(whole))) == whole


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.binary(max_size=3000), max_size=8))
def test_a_digest_does_not_depend_on_how_the_bytes_are_cut(chunks: list[bytes]) -> None:
    cut, whole = Digest(), Digest()
    for chunk in chunks:
        cut.update(chunk)
    whole.update(b"".join(chunks))
    assert (cut.sha256, cut.size_bytes, cut.head) == (whole.sha256, whole.size_bytes, whole.head)


async def test_one_byte_too_many_is_refused(store: Store) -> None:
    with pytest.raises(TooLarge):
        async with Intake(store, KEY, 4 * MIB) as intake:
            await intake.take(stream(b"x" * 4 * MIB, b"y"))
    assert nothing_is_left(store)


async def test_a_stream_that_breaks_leaves_nothing(store: Store) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b"x" * MIB
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        async with Intake(store, KEY, 100 * MIB) as intake:
            await intake.take(broken())
    assert nothing_is_left(store)


async def test_a_cancelled_request_leaves_nothing(store: Store) -> None:
    under_way = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b"x" * MIB
        under_way.set()
        await asyncio.Event().wait()

    async def receive() -> None:
        async with Intake(store, KEY, 100 * MIB) as intake:
            await intake.take(endless())

    receiving = asyncio.create_task(receive())
    await under_way.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert nothing_is_left(store)


async def test_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    store = FolderStore(small_disk / "store")
    with pytest.raises(StorageFull):  # noqa: PT012
        async with Intake(store, KEY, 100 * MIB) as intake:
            await intake.take(stream(*[b"x" * SMALL_DISK_BYTES] * 12))
            await intake.commit()
    assert everything_in(small_disk) == []
    store.close()


async def test_what_nobody_commits_is_not_kept(store: Store) -> None:
    async with Intake(store, KEY, MIB) as intake:
        await intake.take(stream(b"x" * MIB))
    assert nothing_is_left(store)
