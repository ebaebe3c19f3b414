"""Files: received, read, deleted; one organization's are nobody else's."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.files.conftest import MAX_BYTES, Desk, stream
from tests.storage.conftest import everything_in
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, Invalid, NotFound, StorageFull, TooLarge
from usina.kernel.storage.folder import FolderStore

PNG = b"\x89PNG\r\n\x1a\n" + bytes(3 * 1024**2)


async def test_a_file_is_what_was_sent(desk: Desk) -> None:
    file = await desk.files.receive(desk.caller, "../a\0b.jpg", "image/jpeg", stream(PNG))
    assert (file.name, file.media_type, file.size_bytes) == ("ab.jpg", "image/png", len(PNG))
    assert file.sha256 == hashlib.sha256(PNG).hexdigest()
    assert file.created_at == desk.clock.now()
    assert await desk.files.get(desk.caller, file.id) == file
    read = [bytes(step) async for step in desk.files.read(file, 0, file.size_bytes)]
    assert b"".join(read) == PNG


async def test_an_empty_file_is_refused_and_not_kept(desk: Desk) -> None:
    with pytest.raises(Invalid) as refusal:
        await desk.files.receive(desk.caller, "a", None, stream(b""))
    assert refusal.value.code == "empty_file"
    assert refusal.value.errors[0].pointer == "/file"
    assert await desk.is_empty()


async def test_a_file_of_the_greatest_size_is_taken_and_one_byte_more_is_not(desk: Desk) -> None:
    file = await desk.files.receive(desk.caller, "a", None, stream(bytes(MAX_BYTES)))
    await desk.files.delete(desk.caller, file.id)
    with pytest.raises(TooLarge):
        await desk.files.receive(desk.caller, "a", None, stream(bytes(MAX_BYTES + 1)))
    assert await desk.is_empty()


@pytest.mark.parametrize("sent", [1, 5 * 1024**2])
async def test_an_upload_that_stops_half_way_leaves_nothing(desk: Desk, sent: int) -> None:
    async def stopping() -> AsyncIterator[bytes]:
        async for chunk in stream(bytes(sent)):
            yield chunk
        raise ConnectionError("the client has gone")

    with pytest.raises(ConnectionError):
        await desk.files.receive(desk.caller, "a", None, stopping())
    assert await desk.is_empty()


async def test_a_full_disk_is_refused_and_leaves_nothing(desk: Desk, small_disk: Path) -> None:
    desk = replace(desk, store=FolderStore(small_disk / "store"))
    with pytest.raises(StorageFull) as refusal:
        await desk.files.receive(desk.caller, "a", None, stream(bytes(MAX_BYTES)))
    assert refusal.value.code == "storage_full"
    assert everything_in(small_disk) == []
    assert await desk.rows() == []
    await desk.files.receive(desk.caller, "a", None, stream(b"fits"))
    desk.store.close()


@pytest.mark.parametrize(
    "file_id", ["", "1", "../../etc/passwd", "x" * 5000, "01981c3e-0000-7000-8000-000000000000"]
)
async def test_an_id_of_nothing_is_not_found(desk: Desk, file_id: str) -> None:
    with pytest.raises(NotFound):
        await desk.files.get(desk.caller, file_id)
    with pytest.raises(NotFound):
        await desk.files.delete(desk.caller, file_id)


async def test_anothers_file_is_not_there(desk: Desk) -> None:
    file = await desk.files.receive(desk.caller, "a", None, stream(b"mine"))
    with pytest.raises(NotFound):
        await desk.files.get(desk.other, file.id)
    with pytest.raises(NotFound):
        await desk.files.delete(desk.other, file.id)
    assert await desk.files.get(desk.caller, file.id) == file


async def test_a_deleted_file_takes_its_bytes_along(desk: Desk) -> None:
    file = await desk.files.receive(desk.caller, "a", None, stream(b"mine"))
    await desk.files.delete(desk.caller, file.id)
    assert await desk.is_empty()
    with pytest.raises(NotFound):
        await desk.files.delete(desk.caller, file.id)


async def test_a_file_in_use_stays(desk: Desk) -> None:
    file = await desk.files.receive(desk.caller, "a", None, stream(b"mine"))
    desk.in_use = {file.id}
    with pytest.raises(Conflict) as refusal:
        await desk.files.delete(desk.caller, file.id)
    assert refusal.value.code == "file_in_use"
    assert await desk.files.get(desk.caller, file.id) == file


class TestReception:
    """Several files that are kept together with something else."""

    async def test_all_are_kept_by_the_transaction_that_inserts_them(self, desk: Desk) -> None:
        async with desk.files.reception(desk.caller.organization_id) as reception:
            first = await reception.take_in("a", None, stream(b"a"))
            second = await reception.take_in("b", None, stream(b"b"))
            await desk.database.write(reception.insert)
        assert await desk.rows() == sorted([first.id, second.id])
        assert len(desk.objects()) == 2

    async def test_none_is_kept_without_it(self, desk: Desk) -> None:
        async with desk.files.reception(desk.caller.organization_id) as reception:
            await reception.take_in("a", None, stream(b"a"))
        assert await desk.is_empty()

    async def test_none_is_kept_when_a_later_one_is_refused(self, desk: Desk) -> None:
        with pytest.raises(Invalid) as refusal:  # noqa: PT012
            async with desk.files.reception(desk.caller.organization_id) as reception:
                await reception.take_in("a", None, stream(b"a"))
                await reception.take_in("b", None, stream(b""), pointer="/inputs/b")
        assert refusal.value.errors[0].pointer == "/inputs/b"
        assert await desk.is_empty()

    async def test_none_is_kept_when_the_transaction_fails(self, desk: Desk) -> None:
        async with desk.files.reception(desk.caller.organization_id) as reception:
            await reception.take_in("a", None, stream(b"a"))

            def unit(tx: Transaction) -> None:
                reception.insert(tx)
                raise Conflict("no")

            with pytest.raises(Conflict):
                await desk.database.write(unit)
        assert await desk.is_empty()

    async def test_a_commit_that_nobody_awaited_keeps_its_objects(self, desk: Desk) -> None:
        """A cancelled request can not know whether its commit has happened."""
        inserted = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def request() -> None:
            async with desk.files.reception(desk.caller.organization_id) as reception:
                await reception.take_in("a", None, stream(b"a"))

                def unit(tx: Transaction) -> None:
                    reception.insert(tx)
                    loop.call_soon_threadsafe(inserted.set)

                await desk.database.write(unit)

        task = asyncio.create_task(request())
        await inserted.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await desk.database.write(lambda tx: None)
        assert len(await desk.rows()) == 1
        assert len(desk.objects()) == 1


@pytest.mark.parametrize("failpoint", ["upload.after_put", "upload.before_commit"])
def test_a_kill_between_object_and_row_leaves_an_orphan_that_the_sweep_takes(
    tmp_path: Path, failpoint: str
) -> None:
    environment = os.environ | {"USINA_FAILPOINTS": failpoint}
    command = [sys.executable, "-m", "tests.files.killed", str(tmp_path)]
    receive = [*command, "receive"]
    killed = subprocess.run(receive, env=environment, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = subprocess.run([*command, "sweep"], check=True, capture_output=True, text=True)
    assert again.stdout.split() == ["rows:0", "orphans:1", "objects:0"]
