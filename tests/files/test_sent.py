"""Bytes that were put into the store past the platform: what it reads is what the file holds."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.files.conftest import MAX_BYTES, Desk
from tests.files.test_upload import DATA, SIZE, content, opened
from tests.storage.s3_server import access, fresh_bucket
from usina.kernel.artifacts.owner import ArtifactOwner
from usina.kernel.db import meta
from usina.kernel.errors import Conflict, Invalid, NotFound, TooLarge
from usina.kernel.files.file import Upload
from usina.kernel.files.owner import FileOwner, UploadOwner
from usina.kernel.storage.marker import MARKER
from usina.kernel.storage.sweep import Sweeper

LARGE_SIZE = 3 * 1024**2


def put(desk: Desk, upload: Upload, sent: bytes = DATA) -> None:
    """As a client does it by the presigned address."""
    desk.store.put(upload.sent_key, sent)


async def sweeper(desk: Desk) -> Sweeper:
    platform = await desk.database.read(meta.platform_id)
    if desk.store.size(MARKER) is None:
        desk.store.put(MARKER, platform.encode())
    owners = [FileOwner(lambda tx, ids: set(), timedelta(30)), UploadOwner(), ArtifactOwner()]
    return Sweeper(desk.database, desk.store, owners, desk.files.uploads.settle_late)


async def test_sent_and_completed(desk: Desk) -> None:
    upload = await opened(desk)
    put(desk, upload)
    file, made = await desk.files.uploads.complete(desk.caller, upload.id)
    assert made
    assert (file.id, file.media_type, file.size_bytes) == (upload.id, "image/png", SIZE)
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()
    assert desk.objects() == [file.key]
    assert await desk.files.uploads.complete(desk.caller, upload.id) == (file, False)
    assert await content(desk, file.id) == DATA
    await desk.files.delete(desk.caller, file.id)
    assert await desk.is_empty()


async def test_before_it_was_sent_it_is_incomplete(desk: Desk) -> None:
    upload = await opened(desk)
    with pytest.raises(Conflict) as refusal:
        await desk.files.uploads.complete(desk.caller, upload.id)
    assert refusal.value.code == "upload_incomplete"


async def test_what_is_sent_after_the_completion_changes_nothing_and_is_swept(desk: Desk) -> None:
    upload = await opened(desk)
    put(desk, upload)
    file, _ = await desk.files.uploads.complete(desk.caller, upload.id)
    put(desk, upload, bytes(SIZE))
    assert await desk.files.uploads.complete(desk.caller, upload.id) == (file, False)
    assert await content(desk, file.id) == DATA
    await (await sweeper(desk)).sweep(timedelta(hours=1))
    assert desk.objects() == sorted([MARKER, file.key])


async def test_of_many_services_that_complete_at_once_one_makes_the_file(desk: Desk) -> None:
    """Each has locks of its own, as processes on many machines do; and somebody sends on."""
    upload = await opened(desk, LARGE_SIZE)
    contents = [bytes([n]) * LARGE_SIZE for n in range(4)]
    put(desk, upload, contents[0])

    async def complete() -> object:
        return await desk.files.uploads.complete(desk.caller, upload.id)

    async def send(sent: bytes) -> None:
        await desk.store.run(lambda: put(desk, upload, sent))

    work = [complete(), send(contents[1]), complete(), send(contents[2]), complete()]
    await asyncio.gather(*work, complete(), send(contents[3]), return_exceptions=False)
    file = await desk.files.get(desk.caller, upload.id)
    stored = await content(desk, upload.id)
    assert stored in contents
    assert hashlib.sha256(stored).hexdigest() == file.sha256
    assert [key for key in desk.objects() if key.startswith("files/")] == [file.key]


@pytest.mark.parametrize(
    ("sent", "error", "code"),
    [
        (0, Invalid, "empty_file"),
        (SIZE - 1, Invalid, "upload_size"),
        (MAX_BYTES + 1, TooLarge, "too_large"),
    ],
)
async def test_what_no_file_may_be_is_refused_and_goes(
    desk: Desk, sent: int, error: type[Invalid | TooLarge], code: str
) -> None:
    upload = await opened(desk)
    put(desk, upload, bytes(sent))
    with pytest.raises(error) as refusal:
        await desk.files.uploads.complete(desk.caller, upload.id)
    assert refusal.value.code == code
    assert desk.objects() == []
    put(desk, upload)
    assert (await desk.files.uploads.complete(desk.caller, upload.id))[1]


async def test_bytes_that_change_while_they_are_taken_are_refused_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await opened(desk)
    put(desk, upload)
    really = desk.store.copy

    def copy(source: str, target: str) -> None:
        put(desk, upload, DATA[:-1])
        really(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(desk.store, "copy", copy)
        with pytest.raises(Invalid) as refusal:
            await desk.files.uploads.complete(desk.caller, upload.id)
    assert refusal.value.code == "upload_size"
    assert [key for key in desk.objects() if key.startswith("files/")] == []


async def test_a_ticket_that_was_sent_is_a_file_when_it_is_asked_for(desk: Desk) -> None:
    ticket = await opened(desk, None)
    with pytest.raises(NotFound):
        await desk.files.get(desk.caller, ticket.id)
    put(desk, ticket)
    with pytest.raises(NotFound):
        await desk.files.get(desk.other, ticket.id)
    file = await desk.files.get(desk.caller, ticket.id)
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()
    assert await content(desk, ticket.id) == DATA
    assert await desk.files.uploads.complete(desk.caller, ticket.id) == (file, False)


@pytest.mark.parametrize("sent", [0, MAX_BYTES + 1])
async def test_a_ticket_of_what_no_file_may_be_is_none(desk: Desk, sent: int) -> None:
    ticket = await opened(desk, None)
    put(desk, ticket, bytes(sent))
    with pytest.raises(NotFound):
        await desk.files.get(desk.caller, ticket.id)
    assert desk.objects() == []


async def test_a_ticket_that_nobody_used_in_time_is_a_file_all_the_same(desk: Desk) -> None:
    sent, late, refused = [await opened(desk, None) for _ in range(3)]
    upload = await opened(desk)
    put(desk, sent)
    put(desk, upload)
    put(desk, refused, b"")
    desk.clock.advance(3600)
    sweep = (await sweeper(desk)).sweep
    report = await sweep(timedelta(hours=1))
    assert (report.expired, report.orphans) == (3, 1)
    assert (await desk.files.get(desk.caller, sent.id)).size_bytes == SIZE
    assert await desk.rows() == [sent.id], (late, upload)
    assert len(desk.objects()) == 2, "the file's and the marker"


async def test_between_its_end_and_the_sweep_a_ticket_that_was_sent_is_found(desk: Desk) -> None:
    ticket = await opened(desk, None)
    put(desk, ticket)
    desk.clock.advance(3601)
    assert (await desk.files.get(desk.caller, ticket.id)).size_bytes == SIZE


async def test_a_completion_that_died_half_way_is_made_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the copy, before its row: the copy is an orphan, and what was sent is still there."""
    upload = await opened(desk)
    put(desk, upload)

    class Died(BaseException):
        pass

    def die(name: str) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr("usina.kernel.files.upload.reach", die)
        with pytest.raises(Died):
            await desk.files.uploads.complete(desk.caller, upload.id)
    assert len(desk.objects()) == 2
    file, made = await desk.files.uploads.complete(desk.caller, upload.id)
    assert made
    assert len(desk.objects()) == 2
    swept = await sweeper(desk)
    assert (await swept.sweep(timedelta(seconds=-5))).orphans == 0
    assert (await swept.sweep(timedelta(seconds=-5))).orphans == 1
    assert desk.objects() == sorted([MARKER, file.key])
    assert await content(desk, file.id) == DATA


async def test_an_upload_that_is_swept_while_it_is_completed_is_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await opened(desk)
    put(desk, upload)
    swept = await sweeper(desk)
    really, loop = desk.store.copy, asyncio.get_running_loop()

    def copy(source: str, target: str) -> None:
        really(source, target)
        desk.clock.advance(3600)
        asyncio.run_coroutine_threadsafe(swept.sweep(timedelta(hours=1)), loop).result(30)

    monkeypatch.setattr(desk.store, "copy", copy)
    with pytest.raises(NotFound):
        await desk.files.uploads.complete(desk.caller, upload.id)
    assert desk.objects() == [MARKER]
    assert await desk.rows() == []


@pytest.mark.parametrize("failpoint", ["upload.after_put", "upload.before_commit"])
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_completion_that_is_killed_is_made_again_by_the_next_process(
    tmp_path: Path, failpoint: str, kind: str
) -> None:
    environment = dict(os.environ)
    if kind == "s3":
        to = access()
        url = f"s3://{fresh_bucket()}/platform"
        environment["USINA_TEST_BUCKET"] = f"{url} {to.access_key} {to.secret_key} {to.url}"

    def run(step: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.files.killed", str(tmp_path), step]
        return subprocess.run(
            command, env=environment | more, check=False, capture_output=True, text=True
        )

    killed = run("complete", USINA_FAILPOINTS=failpoint)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = run("again")
    # In a folder the orphan shares its bytes with the copy that was made later, and their age.
    orphans, objects = (0, 2) if kind == "folder" else (1, 1)
    assert again.stdout.split() == [
        "made:True",
        f"bytes:{LARGE_SIZE}",
        "rows:1",
        f"orphans:{orphans}",
        f"objects:{objects}",
    ], again.stderr
    later = run("sweep")
    assert later.stdout.split() == ["rows:1", f"orphans:{1 - orphans}", "objects:1"], later.stderr
