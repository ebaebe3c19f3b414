"""What every store does."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from usina.kernel.errors import Unavailable
from usina.kernel.storage.store import STEP_BYTES, ObjectMissing, Store

KEY = "files/organization/one"


async def read(store: Store, key: str, start: int, stop: int) -> bytes:
    return b"".join([bytes(step) async for step in store.read(key, start, stop)])


async def test_an_object_comes_back_as_it_was_put(store: Store) -> None:
    store.put(KEY, b"content")
    assert store.size(KEY) == 7
    assert await read(store, KEY, 0, 7) == b"content"
    assert b"".join(store.chunks(KEY, 0, 7)) == b"content"


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 9), (9, 10), (0, 10), (4, 4)])
async def test_a_range_is_read_alone(store: Store, start: int, stop: int) -> None:
    store.put(KEY, b"0123456789")
    assert await read(store, KEY, start, stop) == b"0123456789"[start:stop]
    assert b"".join(store.chunks(KEY, start, stop)) == b"0123456789"[start:stop]


async def test_a_large_object_is_read_in_steps(store: Store) -> None:
    data = bytes(range(256)) * (STEP_BYTES // 128)
    store.put(KEY, data)
    steps = [bytes(step) async for step in store.read(KEY, 1, len(data))]
    assert [len(step) for step in steps] == [STEP_BYTES, STEP_BYTES - 1]
    assert b"".join(steps) == data[1:]


def test_an_object_appears_whole_or_not_at_all(store: Store) -> None:
    writer = store.writer(KEY)
    for _ in range(5):
        writer.write(b"x" * STEP_BYTES)
        assert store.size(KEY) is None
        assert list(store.list("files/")) == []
    writer.commit()
    assert store.size(KEY) == 5 * STEP_BYTES


@pytest.mark.parametrize("chunks", [0, 1, 5], ids=["nothing", "little", "much"])
def test_an_aborted_writer_leaves_nothing(store: Store, chunks: int) -> None:
    writer = store.writer(KEY)
    for _ in range(chunks):
        writer.write(b"x" * STEP_BYTES)
    writer.abort()
    assert store.size(KEY) is None
    assert store.clear_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 0


def test_a_commit_replaces_the_object(store: Store) -> None:
    store.put(KEY, b"first")
    writer = store.writer(KEY)
    writer.write(b"second")
    writer.commit()
    assert b"".join(store.chunks(KEY, 0, 6)) == b"second"


def test_an_empty_object_is_an_object(store: Store) -> None:
    store.writer(KEY).commit()
    assert store.size(KEY) == 0
    assert list(store.chunks(KEY, 0, 0)) == []


async def test_what_is_not_there_says_so(store: Store) -> None:
    assert store.size(KEY) is None
    with pytest.raises(ObjectMissing):
        await read(store, KEY, 0, 1)
    with pytest.raises(ObjectMissing):
        list(store.chunks(KEY, 0, 1))


def test_deleting_takes_what_is_there(store: Store) -> None:
    store.put(KEY, b"1")
    store.delete([KEY, "files/organization/never"])
    store.delete([KEY])
    assert store.size(KEY) is None
    assert list(store.list("")) == []


def test_a_list_holds_one_prefix_with_sizes_and_times(store: Store) -> None:
    store.put("artifacts/o/j/1", b"1")
    store.put("artifacts/o/j/2", b"22")
    store.put("files/o/3", b"333")
    found = {stored.key: stored for stored in store.list("artifacts/")}
    assert {key: stored.size_bytes for key, stored in found.items()} == {
        "artifacts/o/j/1": 1,
        "artifacts/o/j/2": 2,
    }
    age = datetime.now(UTC) - found["artifacts/o/j/1"].modified_at
    assert timedelta(seconds=-1) < age < timedelta(seconds=60)
    assert len(list(store.list(""))) == 3
    assert list(store.list("uploads/")) == []


async def test_fetching_makes_a_private_copy(store: Store, tmp_path: Path) -> None:
    store.put(KEY, b"input")
    target = tmp_path / "input.png"
    await store.fetch(KEY, target, hashlib.sha256(b"input").hexdigest())
    target.write_bytes(b"changed")
    assert b"".join(store.chunks(KEY, 0, 5)) == b"input"


async def test_fetching_checks_the_hash(store: Store, tmp_path: Path) -> None:
    store.put(KEY, b"other bytes")
    with pytest.raises(Unavailable) as refusal:
        await store.fetch(KEY, tmp_path / "input", hashlib.sha256(b"input").hexdigest())
    assert refusal.value.code == "content_damaged"


async def test_fetching_what_is_gone_says_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refusal:
        await store.fetch(KEY, tmp_path / "input", "0" * 64)
    assert refusal.value.code == "content_lost"
    assert not (tmp_path / "input").exists()


async def test_fetching_never_writes_over_a_file_or_through_a_link(
    store: Store, tmp_path: Path
) -> None:
    store.put(KEY, b"input")
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(outside)
    for target in (outside, tmp_path / "link"):
        with pytest.raises(FileExistsError):
            await store.fetch(KEY, target, hashlib.sha256(b"input").hexdigest())
    assert outside.read_bytes() == b"precious"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../secret",
        "files/../../secret",
        "files/..",
        "files//x",
        "files/x/",
        "files/a\0b",
        "files/a b",
        "files/a#1",
        "files/%2e%2e/x",
        "files\\x",
        "files/\u202ex",
        "files/.hidden",
    ],
)
async def test_a_key_that_the_platform_never_makes_is_refused(store: Store, key: str) -> None:
    for use in (
        lambda: store.put(key, b"1"),
        lambda: store.writer(key),
        lambda: store.size(key),
        lambda: store.delete([key]),
        lambda: list(store.chunks(key, 0, 1)),
    ):
        with pytest.raises(ValueError, match="not a key"):
            use()
    with pytest.raises(ValueError, match="not a key"):
        await read(store, key, 0, 1)
    assert list(store.list("")) == []


@pytest.mark.parametrize("size", [0, 10, 3 * STEP_BYTES])
def test_a_copy_is_a_second_object_of_its_own(store: Store, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    store.put(KEY, data)
    store.copy(KEY, "files/organization/two")
    store.put(KEY, b"other")
    assert b"".join(store.chunks("files/organization/two", 0, size)) == data
    store.delete([KEY])
    assert store.size("files/organization/two") == size


def test_what_is_not_there_is_not_copied(store: Store) -> None:
    with pytest.raises(ObjectMissing):
        store.copy(KEY, "files/organization/two")
    assert list(store.list("")) == []


def test_a_store_that_is_there_passes_its_check(store: Store) -> None:
    """A server of a busy machine may be late; not every time."""
    for left in reversed(range(9)):
        try:
            store.check()
        except Unavailable:
            if left == 0:
                raise
        else:
            return


def test_a_store_tells_the_time_that_objects_get(store: Store) -> None:
    before = store.now()
    store.put(KEY, b"1")
    (stored,) = store.list("")
    second = timedelta(seconds=1)
    assert before - second <= stored.modified_at <= store.now() + second
