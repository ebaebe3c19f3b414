"""Sweeps beside the work: two at once, uploads and finishes under way, and old orphans between."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from tests.files.conftest import Desk, stream
from tests.files.test_sent import put, sweeper
from tests.files.test_upload import DATA, content, opened
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.service import Artifacts, NewArtifact
from usina.kernel.artifacts.store import insert_artifacts
from usina.kernel.files.file import File
from usina.kernel.ids import new_id
from usina.kernel.storage.store import Store

HOUR = timedelta(hours=1)
LITTLE = DATA[: 1024**2]
KEPT = 3 * 4
"""Less than a part: moto gives every upload in parts the age of years."""


def orphans(desk: Desk) -> list[str]:
    owner = desk.caller.organization_id
    keys = [
        *(File.key_of(owner, new_id()) for _ in range(5)),
        *(File.key_of(owner, new_id(), new_id()) for _ in range(5)),
        *(Artifact.key_of(owner, new_id(), new_id()) for _ in range(5)),
        *(f"uploads/{owner}/{new_id()}/sent" for _ in range(5)),
    ]
    for key in keys:
        desk.store.put(key, b"orphan")
    return keys


async def a_moment_later(store: Store) -> None:
    """Servers give times in whole seconds."""
    newest = max(stored.modified_at for stored in store.list(""))
    while await store.run(store.now) <= newest + timedelta(seconds=1):
        await asyncio.sleep(0.05)


async def finish(desk: Desk, folder: Path, data: bytes) -> Artifact:
    """As a job's end does it: the object, then its row."""
    path = folder / new_id()
    path.write_bytes(data)
    service = Artifacts(desk.database, desk.store, desk.clock)
    owner = desk.caller.organization_id
    new = NewArtifact(owner, new_id(), 1, "data", "a.bin", path, folder)
    (artifact,) = await service.stage([new])
    await desk.database.write(lambda tx: insert_artifacts(tx, [artifact]))
    return artifact


async def test_only_old_orphans_go_whatever_is_under_way(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await sweeps_beside_work(desk, tmp_path, monkeypatch, LITTLE) == KEPT


async def sweeps_beside_work(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> int:
    """How many of the things that were made meanwhile are there, whole; nothing else is."""
    uploads = desk.files.uploads
    old = orphans(desk)
    stale = desk.store.writer(File.key_of(desk.caller.organization_id, new_id()))
    stale.write(DATA)
    sweepers = [await sweeper(desk), await sweeper(desk)]
    await a_moment_later(desk.store)
    then = await desk.store.run(desk.store.now) + HOUR
    monkeypatch.setattr(desk.store, "now", lambda: then)

    async def receive() -> str:
        return (await desk.files.receive(desk.caller, "a", None, stream(data))).id

    async def send_and_complete() -> str:
        upload = await opened(desk, len(data))
        await desk.store.run(lambda: put(desk, upload, data))
        return (await uploads.complete(desk.caller, upload.id))[0].id

    async def send_and_use() -> str:
        ticket = await opened(desk, None)
        await desk.store.run(lambda: put(desk, ticket, data))
        return (await desk.files.get(desk.caller, ticket.id)).id

    async def sweep(number: int) -> int:
        reports = [await sweepers[number].sweep(HOUR) for _ in range(3)]
        assert not any(report.refused or report.missing for report in reports)
        return sum(report.orphans for report in reports)

    async def work() -> list[str]:
        made = [await send() for send in (receive, send_and_complete, send_and_use)]
        return [*made, (await finish(desk, tmp_path, data)).key]

    results = await asyncio.gather(sweep(0), sweep(1), *(work() for _ in range(3)))
    made = [one for result in results if isinstance(result, list) for one in result]
    for one in made:
        if "/" in one:
            assert await desk.store.run(lambda key=one: desk.store.size(key)) == len(data)
        else:
            assert await content(desk, one) == data
    assert not set(old) & set(desk.objects())
    assert len(desk.objects()) == len(made) + 1, "and the marker"
    assert desk.store.clear_unfinished(then + HOUR) == 0, "the stale one went, no other was left"
    stale.abort()
    return len(made)
