"""Rows and objects kept together, and nothing deleted that another platform may own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.storage.stores import Opening
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.owner import ArtifactOwner
from usina.kernel.artifacts.store import insert_artifacts
from usina.kernel.artifacts.table import artifacts
from usina.kernel.db import meta
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.files.file import File, Upload
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.owner import FileOwner, UploadOwner
from usina.kernel.files.store import insert_files, insert_upload
from usina.kernel.files.table import files
from usina.kernel.files.upload import Uploads
from usina.kernel.ids import new_id
from usina.kernel.storage.marker import MARKER, belongs_to, claim
from usina.kernel.storage.store import Store
from usina.kernel.storage.sweep import Sweeper, SweepReport
from usina.kernel.tenancy.table import organizations

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
AT_START = timedelta(0)
NOW = datetime.now(UTC) + 24 * HOUR
"""Everything that a test has written is a day old."""


class House:
    """A platform's store and database, with as much in them as a test needs."""

    def __init__(self, database: Database, opening: Opening, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock
        self.store_time = NOW
        self.opening = opening
        self.store = opening()
        self.used: set[str] = set()
        self.organization_id = new_id()
        self.sweeper = self._sweeper()

    def _sweeper(self) -> Sweeper:
        owners = [FileOwner(self._used, 30 * 24 * HOUR), UploadOwner(), ArtifactOwner()]
        limits = FileLimits(1000, HOUR)
        uploads = Uploads(self.database, self.store, self.clock, limits)
        self.store.now = lambda: self.store_time
        return Sweeper(self.database, self.store, owners, uploads.settle_late)

    def _used(self, tx: Transaction, file_ids: Sequence[str]) -> set[str]:
        return self.used & set(file_ids)

    async def begin(self) -> None:
        row = {"id": self.organization_id, "name": "o"}
        await self.database.write(
            lambda tx: tx.execute(sa.insert(organizations), row | {"created_at": tx.now})
        )
        platform = await self.database.read(meta.platform_id)
        assert claim(self.store, platform)

    async def restart(self, later: timedelta = MINUTE) -> None:
        """The platform starts again, a minute after its last write."""
        self.store.close()
        self.store = self.opening()
        self.store.opened_at += later
        self.sweeper = self._sweeper()

    async def sweep(self, grace: timedelta = HOUR) -> SweepReport:
        return await self.sweeper.sweep(grace)

    async def file(self, content: bytes = b"content") -> File:
        file = File(new_id(), self.organization_id, "f", "text/plain", len(content), "0" * 64, NOW)
        self.store.put(file.key, content)
        await self.database.write(lambda tx: insert_files(tx, [file]))
        return file

    async def artifact(self) -> Artifact:
        artifact = Artifact(
            new_id(), self.organization_id, new_id(), 1, "data", "a", "text/plain", 1, "0" * 64, NOW
        )
        self.store.put(artifact.key, b"a")
        await self.database.write(lambda tx: insert_artifacts(tx, [artifact]))
        return artifact

    async def upload(self, expires_at: datetime) -> Upload:
        upload = Upload(
            new_id(), self.organization_id, "u", "x/y", 20, None, False, NOW, expires_at
        )
        await self.database.write(lambda tx: insert_upload(tx, upload))
        self.store.put(f"{upload.parts_prefix}000000000000000-000000000000005", b"12345")
        return upload

    async def missing(self) -> Mapping[str, bool]:
        def unit(tx: Transaction) -> dict[str, bool]:
            found = tx.execute(
                sa.union_all(
                    sa.select(files.c.id, files.c.missing_at),
                    sa.select(artifacts.c.id, artifacts.c.missing_at),
                )
            )
            return {row.id: row.missing_at is not None for row in found}

        return await self.database.read(unit)

    def objects(self) -> list[str]:
        return sorted(stored.key for stored in self.store.list("") if stored.key != MARKER)


@pytest.fixture
async def house(database: Database, opening: Opening, clock: FakeClock) -> AsyncIterator[House]:
    made = House(database, opening, clock)
    await made.begin()
    yield made
    made.store.close()


async def test_what_rows_name_stays(house: House) -> None:
    file, artifact = await house.file(), await house.artifact()
    upload = await house.upload(NOW + HOUR)
    before = house.objects()
    await house.restart()
    for grace in (AT_START, HOUR, HOUR):
        assert await house.sweep(grace) == SweepReport()
    assert house.objects() == before
    assert len(before) == 3, (file, artifact, upload)


async def test_an_orphan_goes_at_the_next_start(house: House) -> None:
    artifact = await house.artifact()
    orphans = [f"artifacts/{house.organization_id}/{new_id()}/{new_id()}" for _ in range(501)]
    for key in orphans:
        house.store.put(key, b"123")
    await house.restart()
    report = await house.sweep(AT_START)
    assert (report.orphans, report.orphan_bytes) == (501, 1503)
    assert house.objects() == [artifact.key]


async def test_what_this_process_has_staged_awaits_its_row(house: House) -> None:
    await house.restart(later=timedelta(0))
    staged = f"artifacts/{house.organization_id}/{new_id()}/{new_id()}"
    house.store.put(staged, b"1")
    assert (await house.sweep(AT_START)).orphans == 0
    assert house.objects() == [staged]


async def test_later_an_orphan_goes_when_it_is_seen_twice(house: House) -> None:
    house.store.put(f"files/{house.organization_id}/{new_id()}", b"1")
    assert (await house.sweep()).orphans == 0
    assert (await house.sweep()).orphans == 1
    assert house.objects() == []


async def test_a_row_that_comes_between_two_looks_saves_its_object(house: House) -> None:
    file = File(new_id(), house.organization_id, "f", "text/plain", 1, "0" * 64, NOW)
    house.store.put(file.key, b"1")
    await house.sweep()
    await house.database.write(lambda tx: insert_files(tx, [file]))
    assert (await house.sweep()).orphans == 0
    assert house.objects() == [file.key]


async def test_a_young_object_is_left_alone(house: House) -> None:
    key = f"files/{house.organization_id}/{new_id()}"
    house.store.put(key, b"1")
    house.store_time = datetime.now(UTC) + HOUR / 2
    for _ in range(2):
        assert (await house.sweep()).orphans == 0
    assert house.objects() == [key]


async def test_names_that_are_no_ids_are_orphans_too_but_other_prefixes_are_not_ours(
    house: House,
) -> None:
    house.store.put("files/not-an-id", b"1")
    house.store.put("artifacts/o/j/also-none", b"1")
    house.store.put("backup/of-the-operator", b"1")
    await house.restart()
    assert (await house.sweep(AT_START)).orphans == 2
    assert house.objects() == ["backup/of-the-operator"]


@pytest.mark.parametrize("marker", [None, "", "another platform", "x" * 5000])
@pytest.mark.parametrize("grace", [AT_START, HOUR])
async def test_a_foreign_or_unmarked_store_loses_nothing(
    house: House, marker: str | None, grace: timedelta
) -> None:
    file = await house.file()
    house.store.put("files/o/orphan", b"1")
    await house.upload(NOW - HOUR)
    house.store.delete([MARKER])
    if marker is not None:
        house.store.put(MARKER, marker.encode())
    before = house.objects()
    await house.restart()
    partial = house.store.writer("files/o/partial")
    partial.write(b"x" * 9 * 1024**2)
    for _ in range(2):
        assert await house.sweep(grace) == SweepReport(refused=True)
    assert house.objects() == before
    assert house.store.clear_unfinished(NOW) == 1
    partial.abort()
    assert (await house.missing())[file.id] is False


async def test_a_database_that_was_lost_takes_nothing_with_it(house: House) -> None:
    """The file of the database is gone, a new one is made: its platform is another one."""
    await house.file()
    new_platform = new_id()
    assert claim(house.store, new_platform) is False
    assert belongs_to(house.store, new_platform) is False
    await house.database.write(
        lambda tx: tx.execute(sa.update(meta.meta).values(value=new_platform))
    )
    await house.database.write(lambda tx: tx.execute(sa.delete(files)))
    assert (await house.sweep(AT_START)).refused
    assert len(house.objects()) == 1


async def test_only_an_empty_store_is_claimed(store: Store) -> None:
    store.put("files/somebody/elses", b"1")
    assert claim(store, "me") is False
    assert store.size(MARKER) is None
    store.delete(["files/somebody/elses"])
    assert claim(store, "me") is True
    assert claim(store, "me") is True
    assert claim(store, "another") is False


async def test_a_lost_object_is_told_of_and_its_row_kept(house: House) -> None:
    file, artifact, whole = await house.file(), await house.artifact(), await house.file()
    house.store.delete([file.key, artifact.key])
    assert (await house.sweep()).missing == 2
    assert await house.missing() == {file.id: True, artifact.id: True, whole.id: False}
    house.store.put(file.key, b"back from the backup")
    assert (await house.sweep()).missing == 1
    assert await house.missing() == {file.id: False, artifact.id: True, whole.id: False}


async def test_a_row_that_is_deleted_while_a_sweep_looks_is_not_missed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await house.file()
    really = house.store.size

    def size(key: str) -> int | None:
        if key == file.key:
            house.store.delete([key])
        return really(key)

    monkeypatch.setattr(house.store, "size", size)
    owner_mark = FileOwner.mark

    def mark(self: FileOwner, tx: Transaction, row_ids: Sequence[str], missing: bool) -> int:
        tx.execute(sa.delete(files).where(files.c.id == file.id))
        return owner_mark(self, tx, row_ids, missing)

    monkeypatch.setattr(FileOwner, "mark", mark)
    assert (await house.sweep()).missing == 0


async def test_an_upload_that_is_late_goes_with_its_parts(house: House, clock: FakeClock) -> None:
    await house.upload(clock.now() - HOUR)
    kept = await house.upload(clock.now() + HOUR)
    report = await house.sweep()
    assert (report.expired, report.orphans) == (1, 1)
    assert [key.split("/")[2] for key in house.objects()] == [kept.id]
    assert list(await house.missing()) == [kept.id]


async def test_files_that_no_job_names_go_after_their_time(house: House, clock: FakeClock) -> None:
    unused, used = await house.file(), await house.file()
    house.used = {used.id}
    clock.advance(29 * 24 * 3600)
    assert (await house.sweep()).expired == 0
    clock.advance(2 * 24 * 3600)
    assert (await house.sweep()).expired == 1
    assert house.objects() == [used.key]
    assert list(await house.missing()) == [used.id], unused
    house.used = set()
    assert (await house.sweep()).expired == 0, "it was in use a moment ago"
    clock.advance(31 * 24 * 3600)
    assert (await house.sweep()).expired == 1


async def test_many_used_files_do_not_hide_those_behind_them(
    house: House, clock: FakeClock
) -> None:
    many = [
        File(new_id(), house.organization_id, "f", "text/plain", 1, "0" * 64, NOW)
        for _ in range(501)
    ]
    await house.database.write(lambda tx: insert_files(tx, many))
    house.used = {file.id for file in many[:500]}
    clock.advance(31 * 24 * 3600)
    assert (await house.sweep()).expired == 1
