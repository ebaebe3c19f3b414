"""Whatever can not be copied is refused plainly, and nothing is changed by asking."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.moving.conftest import Servers, usina
from tests.moving.look import change, content, rows
from tests.storage.conftest import SMALL_DISK_BYTES, everything_in, small_disk
from usina import moving, upkeep
from usina.data_folder import locked
from usina.kernel.errors import Conflict, Invalid, NotFound, StorageFull, Unavailable
from usina.settings import Settings

pytestmark = pytest.mark.timeout(300)

__all__ = ["small_disk"]


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "USINA_STORAGE_URL"):
        monkeypatch.delenv(name, raising=False)


def _copy(settings: Settings, source: Path | None = None, target: Path | None = None) -> None:
    moving.copy(settings, source, target, lambda what, done, total: None)


def _is_empty(servers: Servers) -> bool:
    store = servers.store()
    empty = next(store.list(""), None) is None
    store.close()
    return empty and upkeep.revision(servers.settings()).revision is None


def test_a_platform_that_runs(source: Path, servers: Servers) -> None:
    with locked(source), pytest.raises(Conflict, match="in use by process") as refused:
        _copy(servers.settings(), source)

    assert refused.value.code == "folder_in_use"
    assert _is_empty(servers)


def test_a_database_that_somebody_is_connected_to(
    source: Path, servers: Servers, tmp_path: Path
) -> None:
    _copy(servers.settings(), source)
    settings = servers.settings(data=tmp_path / "none")
    asleep = [sys.executable, "-c", _SLEEPER, servers.database]

    with subprocess.Popen(asleep, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Conflict, match="Others are connected") as refused:
            _copy(settings, target=tmp_path / "back")

    assert refused.value.code == "copy_source_in_use"
    assert not (tmp_path / "back/usina.sqlite").exists()
    _copy(settings, target=tmp_path / "back")


_SLEEPER = """
import asyncio, sys, asyncpg
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await connection.close()
asyncio.run(main())
"""


def test_a_folder_without_a_platform(servers: Servers, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no platform"):
        _copy(servers.settings(), tmp_path / "nothing")

    assert not (tmp_path / "nothing").exists()
    assert _is_empty(servers)


def test_a_source_of_an_older_usina(source: Path, servers: Servers) -> None:
    change(source / "usina.sqlite", "UPDATE alembic_version SET version_num = '0001'")

    with pytest.raises(Conflict, match="usina db upgrade") as refused:
        _copy(servers.settings(), source)

    assert refused.value.code == "copy_source_revision"
    assert _is_empty(servers)


def test_a_copy_that_is_not_whole_is_no_source(source: Path, tmp_path: Path) -> None:
    half, other = tmp_path / "half", tmp_path / "other"
    killed = usina(
        "db", "copy", "--from", str(source), "--to", str(half), USINA_FAILPOINTS="copy.after_rows"
    )
    assert killed.returncode == -9

    with pytest.raises(NotFound, match="half made"):
        _copy(Settings(), half, other)


def test_a_target_that_has_a_platform(source: Path, servers: Servers) -> None:
    upkeep.seed(servers.settings())
    before = content(servers.database)

    with pytest.raises(Conflict, match="There is a platform in") as refused:
        _copy(servers.settings(), source)

    assert refused.value.code == "copy_target_not_empty"
    assert content(servers.database) == before


def test_a_target_that_was_only_migrated_is_empty(source: Path, servers: Servers) -> None:
    assert upkeep.upgrade_database(servers.settings()) == upkeep.revision(servers.settings()).head

    _copy(servers.settings(), source)

    assert rows(servers.database, "SELECT count(*) FROM jobs") == [(4,)]


def test_another_platforms_unfinished_copy(source: Path, servers: Servers, tmp_path: Path) -> None:
    killed = servers.usina("db", "copy", "--from", str(source), USINA_FAILPOINTS="copy.after_mark")
    assert killed.returncode == -9
    other = tmp_path / "other"
    upkeep.seed(Settings(data=other))

    with pytest.raises(Conflict, match="half made copy of another platform"):
        _copy(servers.settings(), other)


def test_a_store_that_holds_something_else(source: Path, servers: Servers) -> None:
    store = servers.store()
    store.put("files/theirs", b"theirs")
    store.close()

    with pytest.raises(Conflict, match="holds something else") as refused:
        _copy(servers.settings(), source)

    assert refused.value.code == "copy_target_not_empty"


def test_onto_itself(source: Path) -> None:
    for other in (source, source / "..", source.parent / "source" / ".." / "source"):
        if other.resolve() == source.resolve():
            with pytest.raises(Conflict, match="onto itself"):
                _copy(Settings(), source, other)


def test_one_store_for_two(source: Path, servers: Servers) -> None:
    shared = servers.settings(storage_url=(source / "store").as_uri())

    with pytest.raises(Conflict, match="can not share one"):
        _copy(shared, source)

    assert _is_empty(servers)


def test_no_target_at_all(source: Path, servers: Servers) -> None:
    with pytest.raises(Invalid, match="DATABASE_URL") as refused:
        _copy(Settings(), source)
    assert refused.value.code == "copy_target_missing"

    with pytest.raises(Invalid, match="USINA_STORAGE_URL"):
        _copy(Settings.model_validate({"database_url": servers.database}), source)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://one:secret@127.0.0.1:1/usina", "refuse|failed"),
        ("postgresql://one:secret@nowhere.invalid/usina", "not known"),
    ],
)
def test_a_server_that_does_not_answer(source: Path, servers: Servers, url: str, why: str) -> None:
    with pytest.raises(Unavailable, match=why) as refused:
        _copy(servers.settings(database_url=url), source)

    assert refused.value.code == "database_unavailable"
    assert "secret" not in str(refused.value)


def test_a_database_that_does_not_exist(source: Path, servers: Servers) -> None:
    url = servers.database.replace("/test_", "/other_")

    done = servers.usina("db", "copy", "--from", str(source), "--json", DATABASE_URL=url)

    assert done.returncode == 7
    problem = json.loads(done.stderr)
    assert problem["code"] == "database_unavailable"
    assert "does not exist" in problem["detail"]


def test_a_bucket_that_is_not_there(source: Path, servers: Servers) -> None:
    with pytest.raises(Unavailable, match="bucket does not exist") as refused:
        _copy(servers.settings(storage_url="s3://nobodys-bucket/x"), source)

    assert refused.value.code == "storage_refused"
    assert upkeep.revision(servers.settings()).revision is None


def test_a_full_disk_is_no_end(source: Path, small_disk: Path) -> None:
    (source / "store/files/large").mkdir(parents=True)
    (source / "store/files/large/one").write_bytes(bytes(2 * SMALL_DISK_BYTES))

    with pytest.raises(StorageFull):
        _copy(Settings(), source, small_disk / "data")

    assert not [path for path in everything_in(small_disk) if "large" in path]
    assert usina("seed", USINA_DATA=str(small_disk / "data")).returncode == 1
