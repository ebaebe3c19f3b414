"""A platform that receives one file; a second run of it sweeps what the first has left."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from tests.databases import open_sqlite, prepare
from tests.files.conftest import stream
from usina.kernel.clock import SystemClock
from usina.kernel.db import meta
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.owner import FileOwner
from usina.kernel.files.service import Files
from usina.kernel.files.table import files
from usina.kernel.ids import new_id
from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.marker import claim
from usina.kernel.storage.sweep import Sweeper
from usina.kernel.tenancy.caller import Caller
from usina.kernel.tenancy.table import organizations


async def main(folder: Path, *, sweep: bool) -> None:
    clock = SystemClock()
    database = open_sqlite(folder, clock)
    await prepare(database)
    store = FolderStore(folder / "store")
    platform = await database.read(meta.platform_id)
    assert claim(store, platform)
    if sweep:
        owner = FileOwner(lambda tx, ids: set(), None)
        report = await Sweeper(database, store, [owner]).sweep(datetime.now(UTC), timedelta(0))
        rows = await database.read(lambda tx: len(tx.execute(sa.select(files.c.id)).all()))
        left = len(list(store.list("files/")))
        sys.stdout.write(f"rows:{rows} orphans:{report.orphans} objects:{left}")
    else:
        service = Files(
            database, store, clock, lambda tx, i: False, FileLimits(10**9, timedelta(1))
        )
        row = {"id": new_id(), "name": "o", "created_at": clock.now()}
        await database.write(lambda tx: tx.execute(sa.insert(organizations), row))
        await service.receive(Caller(row["id"], None), "a", None, stream(bytes(3 * 1024**2)))
    await database.close()
    store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sweep=sys.argv[2:] == ["sweep"]))
