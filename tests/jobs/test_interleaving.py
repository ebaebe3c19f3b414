"""One transaction in the midst of another: what SQLite, with its one writer, never sees."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.util.concurrency import await_

from tests.jobs.make import LEASE, NEW_JOB, organization, queue, silent, slots
from tests.postgres import waits_or_ends
from usina.kernel.clock import SystemClock
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.service import Files
from usina.kernel.files.table import files
from usina.kernel.ids import new_id
from usina.kernel.jobs.retention import forget_ended_before
from usina.kernel.jobs.store import change, query
from usina.kernel.jobs.store.claim import Claims, claim
from usina.kernel.jobs.store.insert import InputRef, insert_jobs
from usina.kernel.jobs.store.source import find_sources
from usina.kernel.storage.folder import FolderStore
from usina.kernel.tenancy.caller import Caller


def begun(postgres: PostgresDatabase, work: Any) -> asyncio.Task[Any]:
    """From within a unit: begins something else and lets it come as far as it can."""
    task = asyncio.ensure_future(work)
    await_(waits_or_ends(postgres, task))
    return task


async def test_a_claim_says_that_there_is_more_where_another_only_looked(
    postgres: PostgresDatabase,
) -> None:
    owner = await organization(postgres)
    await queue(postgres, owner, 12)
    others: list[asyncio.Task[Claims]] = []
    looks_at_eight = slots(1, 8, capacity=8)
    wants_all = slots(12)

    def unit(tx: Transaction) -> Claims:
        mine = claim(tx, looks_at_eight, silent)
        others.append(begun(postgres, postgres.write(lambda tx: claim(tx, wants_all, silent))))
        return mine

    mine = await postgres.write(unit)
    theirs = await others[0]
    assert (len(mine.taken), len(theirs.taken)) == (1, 4)
    assert not theirs.exhausted
    assert theirs.next_due is not None
    rest = await postgres.write(lambda tx: claim(tx, wants_all, silent))
    assert len(rest.taken) == 7
    assert rest.exhausted


async def _file(postgres: PostgresDatabase, owner: str) -> str:
    file_id = new_id()
    row = {"id": file_id, "organization_id": owner, "status": "ready", "name": "a.png"}
    row |= {"media_type": "image/png", "size_bytes": 1, "sha256": "0" * 64}

    def unit(tx: Transaction) -> None:
        moments = {"created_at": tx.now, "last_used_at": tx.now}
        tx.execute(sa.insert(files), row | {"completes_itself": True} | moments)

    await postgres.write(unit)
    return file_id


def _take_up(tx: Transaction, owner: str, file_id: str) -> bool:
    """What a submit does; false where the file is not there."""
    if file_id not in find_sources(tx, owner, [file_id], keep=True):
        return False
    reference = InputRef("image", 0, "file", file_id)
    new = replace(NEW_JOB, organization_id=owner, references=(reference,))
    insert_jobs(tx, [new], silent)
    return True


@pytest.fixture
def desk(postgres: PostgresDatabase, tmp_path: Path) -> Files:
    limits = FileLimits(1000, timedelta(hours=1))
    return Files(postgres, FolderStore(tmp_path), SystemClock(), query.file_in_use, limits)


async def test_a_file_that_a_submit_takes_up_is_not_deleted_under_it(
    postgres: PostgresDatabase, desk: Files
) -> None:
    owner = await organization(postgres)
    file_id = await _file(postgres, owner)
    deleting: list[asyncio.Task[None]] = []

    def unit(tx: Transaction) -> bool:
        taken = _take_up(tx, owner, file_id)
        deleting.append(begun(postgres, desk.delete(Caller(owner, None), file_id)))
        return taken

    assert await postgres.write(unit)
    with pytest.raises(Conflict):
        await deleting[0]
    assert (await desk.get(Caller(owner, None), file_id)).id == file_id


async def test_a_file_that_is_being_deleted_is_not_taken_up(postgres: PostgresDatabase) -> None:
    owner = await organization(postgres)
    file_id = await _file(postgres, owner)
    submitting: list[asyncio.Task[bool]] = []

    def unit(tx: Transaction) -> None:
        tx.execute(sa.delete(files).where(files.c.id == file_id))
        submit = postgres.write(lambda tx: _take_up(tx, owner, file_id))
        submitting.append(begun(postgres, submit))

    await postgres.write(unit)
    assert not await submitting[0]


async def test_a_job_that_is_reopened_is_not_forgotten_as_an_old_one(
    postgres: PostgresDatabase,
) -> None:
    owner = await organization(postgres)
    [job] = await queue(postgres, owner)
    await postgres.write(lambda tx: change.cancel(tx, owner, job.id, silent))
    forgetting: list[asyncio.Task[tuple[int, list[str]]]] = []

    def forget(tx: Transaction) -> tuple[int, list[str]]:
        return forget_ended_before(tx, tx.now, 10, lambda tx, ids: [])

    def unit(tx: Transaction) -> None:
        change.reopen(tx, owner, job.id, silent)
        forgetting.append(begun(postgres, postgres.write(forget)))

    await postgres.write(unit)
    assert await forgetting[0] == (0, [])
    kept = await postgres.read(lambda tx: query.find(tx, owner, job.id, LEASE))
    assert kept is not None
    assert kept.status == "QUEUED"


async def test_of_two_that_delete_one_job_one_is_told_that_it_is_gone(
    postgres: PostgresDatabase,
) -> None:
    owner = await organization(postgres)
    [job] = await queue(postgres, owner)
    await postgres.write(lambda tx: change.cancel(tx, owner, job.id, silent))
    second: list[asyncio.Task[None]] = []

    def unit(tx: Transaction) -> None:
        change.delete(tx, owner, job.id)
        again = postgres.write(lambda tx: change.delete(tx, owner, job.id))
        second.append(begun(postgres, again))

    await postgres.write(unit)
    with pytest.raises(NotFound):
        await second[0]
