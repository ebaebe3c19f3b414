"""A platform that receives one file, or completes one; another run sees what it has left."""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from tests.databases import open_sqlite, prepare
from tests.files.conftest import stream
from usina.kernel.clock import SystemClock
from usina.kernel.db import meta
from usina.kernel.db.unit_of_work import Database
from usina.kernel.files.file import Upload
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.owner import FileOwner, UploadOwner
from usina.kernel.files.service import Files
from usina.kernel.files.table import files
from usina.kernel.ids import new_id
from usina.kernel.storage.marker import claim
from usina.kernel.storage.open import open_store
from usina.kernel.storage.s3_address import S3Access
from usina.kernel.storage.store import Store
from usina.kernel.storage.sweep import Sweeper
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.table import organizations

DATA = bytes(3 * 1024**2)


def opened(folder: Path) -> Store:
    """The store that the environment names, else a folder."""
    named = os.environ.get("USINA_TEST_BUCKET")
    if named is None:
        return open_store((folder / "store").as_uri(), None)
    url, key, secret, endpoint = named.split()
    return open_store(url, S3Access(key, secret, endpoint=endpoint))


def is_later(store: Store) -> bool:
    """Servers give times in whole seconds."""
    newest = max((stored.modified_at for stored in store.list("")), default=None)
    return newest is None or store.opened_at > newest + timedelta(seconds=1)


async def sweep(database: Database, store: Store, service: Files) -> None:
    owners = [FileOwner(lambda tx, ids: set(), None), UploadOwner()]
    report = await Sweeper(database, store, owners, service.uploads.settle_late).sweep(timedelta(0))
    rows = await database.read(lambda tx: len(tx.execute(sa.select(files.c.id)).all()))
    left = len(list(store.list("files/")))
    sys.stdout.write(f"rows:{rows} orphans:{report.orphans} objects:{left}\n")


async def new_caller(database: Database, clock: SystemClock) -> Caller:
    row = {"id": new_id(), "name": "o", "created_at": clock.now()}
    await database.write(lambda tx: tx.execute(sa.insert(organizations), row))
    return Caller(row["id"], None)


async def complete_again(database: Database, service: Files) -> None:
    query = sa.select(files.c.id, files.c.organization_id)
    row = await database.read(lambda tx: tx.execute(query).one())
    file, made = await service.uploads.complete(Caller(row.organization_id, None), row.id)
    sys.stdout.write(f"made:{made} bytes:{file.size_bytes}\n")


async def main(folder: Path, step: str) -> None:
    clock = SystemClock()
    database = open_sqlite(folder, clock)
    await prepare(database)
    store = opened(folder)
    while step != "receive" and os.environ.get("USINA_TEST_BUCKET") and not is_later(store):
        store.close()
        await asyncio.sleep(0.05)
        store = opened(folder)
    platform = await database.read(meta.platform_id)
    assert claim(store, platform)
    limits = FileLimits(10**9, timedelta(1))
    service = Files(database, store, clock, lambda tx, i: False, limits)
    if step == "receive":
        await service.receive(await new_caller(database, clock), "a", None, stream(DATA))
    elif step == "complete":
        caller = await new_caller(database, clock)
        upload: Upload = await service.uploads.open(caller, "a", None, len(DATA))
        store.put(upload.sent_key, DATA)
        await service.uploads.complete(caller, upload.id)
    else:
        if step == "again":
            await complete_again(database, service)
        await sweep(database, store, service)
    await database.close()
    store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
