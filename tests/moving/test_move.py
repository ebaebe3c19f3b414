"""A platform of one machine becomes one of many, and back, with all that it has."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.moving.conftest import Servers, usina
from tests.moving.look import content, objects, objects_in, rows
from tests.torture.platform import get_json, running
from usina.data_folder import read_credentials
from usina.kernel.db import meta
from usina.kernel.db.connect import Address, open_database
from usina.kernel.errors import Gone
from usina.kernel.events.cursor import decode, encode
from usina.kernel.storage.marker import MARKER
from usina.kernel.tenancy.gate import Gate

pytestmark = pytest.mark.timeout(300)

_CHANGED = ("events", "jobs", "lanes", "meta")
"""A job that was running waits again, with one more event; the epoch is new."""


def test_everything_is_there_afterwards(source: Path, servers: Servers) -> None:
    before = content(source / "usina.sqlite")

    done = servers.usina("db", "copy", "--from", str(source), "--json")

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    after = content(servers.database)
    assert {name: len(found) for name, found in before.items()} == report["tables"]
    for name, found in before.items():
        if name not in _CHANGED:
            assert after[name] == found, name
    assert objects(servers.store()) == objects_in(source)
    assert report["objects"] == {
        "copied": len(objects_in(source)),
        "present": 0,
        "size_bytes": sum(map(len, objects_in(source).values())),
        "damaged": [],
    }
    store = servers.store()
    marker = b"".join(store.chunks(MARKER, 0, store.size(MARKER) or 0))
    store.close()
    assert marker.decode().strip() == report["platform_id"]
    assert rows(servers.database, "SELECT count(*) FROM workers") == [(0,)]


def test_a_job_that_ran_is_queued_again_as_after_a_stop(source: Path, servers: Servers) -> None:
    done = servers.usina("db", "copy", "--from", str(source), "--json")

    assert json.loads(done.stdout)["requeued"] == 1
    [job] = rows(
        servers.database,
        "SELECT id, status, attempt, max_attempts, lost, worker_id, lease_token, lease_expires_at,"
        " last_seq FROM jobs WHERE status NOT IN ('SUCCEEDED', 'FAILED')",
    )
    assert job[1:8] == ("QUEUED", 2, 4, 0, None, None, None)
    told = rows(servers.database, f"SELECT seq, type FROM events WHERE job_id = '{job[0]}'")
    assert sorted(seq for seq, _ in told) == [*range(1, job[8] + 1)]
    assert max(told)[1] == "job.retrying"


def test_keys_go_on_working_and_cursors_do_not(source: Path, servers: Servers) -> None:
    old = asyncio.run(_epoch(source / "usina.sqlite"))

    servers.usina("db", "copy", "--from", str(source))

    credentials = read_credentials(source)
    assert credentials is not None
    caller = asyncio.run(_caller(servers.database, credentials.api_key))
    assert caller == credentials.organization_id
    new = asyncio.run(_epoch(servers.database))
    assert decode(encode(new, 7), new) == 7
    with pytest.raises(Gone):
        decode(encode(old, 7), new)


def test_the_source_stays_as_it_was(source: Path, servers: Servers) -> None:
    before, files = content(source / "usina.sqlite"), objects_in(source)

    servers.usina("db", "copy", "--from", str(source))

    assert content(source / "usina.sqlite") == before
    assert objects_in(source) == files


def test_the_way_back_ends_in_a_platform_that_runs(
    source: Path, servers: Servers, tmp_path: Path
) -> None:
    back = tmp_path / "back"
    with running(source) as platform, platform.client() as client:
        jobs = {job["id"] for job in get_json(client, "/jobs")["items"]}
        platform.stop()
    assert servers.usina("db", "copy", "--from", str(source)).returncode == 0

    done = servers.usina("db", "copy", "--to", str(back), USINA_DATA=str(tmp_path / "none"))

    assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout
    assert f"usina up --data {back}" in done.stderr
    with running(back) as platform, platform.client() as client:
        found = get_json(client, "/jobs")["items"]
        assert {job["id"] for job in found} == jobs
        [still] = get_json(client, "/jobs?label.still=running")["items"]
        ended = get_json(client, f"/jobs/{still['id']}?wait_seconds=20")
        assert ended["status"] == "SUCCEEDED"
        for job in found:
            for artifact in job["artifacts"]:
                path = f"/artifacts/{artifact['id']}/content"
                assert len(client.get(path).content) == artifact["size_bytes"]


def test_from_one_folder_to_another(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "other disk"

    done = usina("db", "copy", "--from", str(source), "--to", str(target))

    assert done.returncode == 0, done.stderr
    assert objects_in(target) == objects_in(source)
    assert len(content(target / "usina.sqlite")["jobs"]) == 4


def test_what_was_damaged_in_the_source_is_told(source: Path, servers: Servers) -> None:
    [key] = [key for key in objects_in(source) if key.startswith("files/")]
    path = source / "store" / key
    path.write_bytes(bytes(path.stat().st_size))

    done = servers.usina("db", "copy", "--from", str(source), "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["objects"]["damaged"] == [key]
    assert objects(servers.store())[key] == path.read_bytes()


async def _epoch(address: Address) -> str:
    database = open_database(address)
    try:
        return await database.read(meta.epoch)
    finally:
        await database.close()


async def _caller(address: Address, key: str) -> str | None:
    database = open_database(address)
    try:
        caller = await Gate(database).by_key(key)
        return caller and caller.organization_id
    finally:
        await database.close()
