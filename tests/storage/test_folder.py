"""What a folder must do besides: links, a full disk, a killed writer, the sync to the disk."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.storage.conftest import SMALL_DISK_BYTES, everything_in
from usina.kernel.errors import StorageFull, Unavailable
from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.store import ObjectMissing

_HOUR = timedelta(hours=1)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    return folder


async def _read(store: FolderStore, key: str) -> None:
    async for _ in store.read(key, 0, 6):
        pass


@pytest.mark.parametrize("linked", ["object", "folder", "dangling"])
async def test_no_link_leads_out_of_the_store(tmp_path: Path, outside: Path, linked: str) -> None:
    store = FolderStore(tmp_path / "store")
    store.put("files/own", b"own")
    if linked == "folder":
        (tmp_path / "store/files/link").symlink_to(outside)
    else:
        (tmp_path / "store/files/link").mkdir()
        target = outside / ("secret" if linked == "object" else "missing")
        (tmp_path / "store/files/link/secret").symlink_to(target)
    key = "files/link/secret"
    assert store.size(key) is None
    with pytest.raises(ObjectMissing):
        await _read(store, key)
    with pytest.raises(ObjectMissing):
        list(store.chunks(key, 0, 6))
    assert [stored.key for stored in store.list("")] == ["files/own"]
    store.delete([key])
    assert (outside / "secret").read_bytes() == b"secret"
    store.close()


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.put("files/link/new", b"new"),
        lambda store: store.writer("files/link/new"),
        lambda store: store.put("files/link/deep/new", b"new"),
    ],
)
def test_nothing_is_written_through_a_linked_folder(
    tmp_path: Path, outside: Path, write: Callable[[FolderStore], None]
) -> None:
    store = FolderStore(tmp_path / "store")
    store.put("files/own", b"own")
    (tmp_path / "store/files/link").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link"):
        write(store)
    assert everything_in(outside) == ["secret"]
    store.close()


def test_a_full_disk_has_its_own_refusal_and_keeps_nothing(small_disk: Path) -> None:
    store = FolderStore(small_disk / "store")
    store.put("files/o/small", b"fits")
    with pytest.raises(StorageFull):
        store.put("files/o/large", b"x" * (SMALL_DISK_BYTES + 1))
    writer = store.writer("artifacts/o/j/large")
    with pytest.raises(StorageFull):  # noqa: PT012
        for _ in range(32):
            writer.write(b"x" * SMALL_DISK_BYTES)
        writer.commit()
    writer.abort()
    assert everything_in(small_disk) == ["store/files/o/small"]
    store.put("files/o/small-again", b"fits")
    store.close()


def test_what_a_killed_writer_leaves_is_found_by_its_name(tmp_path: Path) -> None:
    root = tmp_path / "store"
    program = (
        "import os, signal, sys; from pathlib import Path;"
        "from usina.kernel.storage.folder import FolderStore;"
        "writer = FolderStore(Path(sys.argv[1])).writer('artifacts/o/j/a');"
        "[writer.write(b'x' * 1024**2) for _ in range(9)];"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(root)], check=False).returncode == -9
    assert everything_in(root) == ["artifacts/o/j/a#1"]
    store = FolderStore(root)
    assert store.size("artifacts/o/j/a") is None
    assert list(store.list("")) == []
    now = datetime.now(UTC)
    assert store.clear_unfinished(now - _HOUR) == 0
    assert store.clear_unfinished(now + _HOUR) == 1
    assert everything_in(root) == []
    assert not (root / "artifacts/o/j").exists()
    store.close()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are synced, in order."""
    paths: list[str] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_an_object_and_every_new_folder_above_it_are_synced(
    tmp_path: Path, synced: list[str]
) -> None:
    store = FolderStore(tmp_path / "store")
    store.put("artifacts/o/j/a", b"1")
    assert synced[0] == "a"
    assert sorted(synced[1:]) == ["artifacts", "j", "o", "store"]
    synced.clear()
    writer = store.writer("artifacts/o/j/b")
    writer.write(b"2")
    writer.commit()
    assert synced == ["b", "j"]
    store.close()


def test_a_folder_that_is_removed_under_a_writer_is_synced_anew(
    tmp_path: Path, synced: list[str]
) -> None:
    store = FolderStore(tmp_path / "store")
    store.put("artifacts/o/j/a", b"1")
    writer = store.writer("artifacts/o/j/b")
    writer.write(b"2")
    store.delete(["artifacts/o/j/a"])
    assert not (tmp_path / "store/artifacts/o/j").exists()
    synced.clear()
    writer.commit()
    assert store.size("artifacts/o/j/b") == 1
    assert synced[-4:] == ["j", "o", "artifacts", "store"]
    store.close()


def test_a_commit_that_can_not_be_made_durable_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path / "store")
    writer = store.writer("files/o/a")
    writer.write(b"1")

    def fsync(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"):
        writer.commit()
    writer.abort()
    assert everything_in(tmp_path) == []
    store.close()


def test_a_jobs_folder_goes_with_its_last_object(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    store.put("artifacts/o/j/a", b"1")
    store.put("artifacts/o/j/b", b"2")
    store.delete(["artifacts/o/j/a"])
    assert (tmp_path / "store/artifacts/o/j").exists()
    store.delete(["artifacts/o/j/b"])
    assert not (tmp_path / "store/artifacts/o/j").exists()
    assert (tmp_path / "store/artifacts/o").exists()
    store.close()


def test_others_can_not_look_into_the_store(tmp_path: Path) -> None:
    FolderStore(tmp_path / "store").close()
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_gone_does_not_pass_its_check(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable) as refusal:
        store.check()
    assert str(tmp_path) not in refusal.value.detail
    store.close()


def test_what_goes_while_a_list_is_read_is_not_in_it(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    keys = [f"files/organization/{number}" for number in range(9)]
    for key in keys:
        store.put(key, b"1")
    listing = store.list("files/")
    first = next(listing).key
    store.delete([key for key in keys if key != first])
    assert list(listing) == []
    store.close()


def test_a_copy_of_something_old_is_new(tmp_path: Path) -> None:
    """A sweep would take it for nobody's, as long as no row names it."""
    store = FolderStore(tmp_path / "store")
    store.put("files/old", b"old")
    long_ago = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    os.utime(tmp_path / "store/files/old", (long_ago, long_ago))
    store.copy("files/old", "files/new")
    [copied] = [each for each in store.list("files/") if each.key == "files/new"]
    assert datetime.now(UTC) - copied.modified_at < _HOUR
    store.delete(["files/old"])
    assert store.size("files/new") == 3
