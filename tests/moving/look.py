"""What is in a database and in a store, as values that can be compared."""

import asyncio
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from usina.kernel.db.connect import Address, connected, in_greenlet
from usina.kernel.moving.rows import carried
from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.marker import MARKER
from usina.kernel.storage.store import Store
from usina.moving import load_tables

load_tables()
Content = dict[str, list[tuple[Any, ...]]]


async def content_of(address: Address) -> Content:
    """Every row of every table, as the rooms read them, in no order."""
    async with connected(address, read_only=True) as connection:
        return await in_greenlet(lambda: _content(connection))


def _content(connection: sa.Connection) -> Content:
    return {
        table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
        for table in carried()
    }


def content(address: Address) -> Content:
    return asyncio.run(content_of(address))


def rows(address: Address, statement: str) -> list[Any]:
    async def look() -> list[Any]:
        async with connected(address, read_only=True) as connection:
            return await in_greenlet(
                lambda: [tuple(row) for row in connection.execute(sa.text(statement))]
            )

    return asyncio.run(look())


def change(address: Address, statement: str) -> None:
    def work(connection: sa.Connection) -> None:
        with connection.begin():
            connection.execute(sa.text(statement))

    async def run() -> None:
        async with connected(address, read_only=False) as connection:
            await in_greenlet(lambda: work(connection))

    asyncio.run(run())


def objects(store: Store) -> dict[str, bytes]:
    try:
        return {
            stored.key: b"".join(store.chunks(stored.key, 0, stored.size_bytes))
            for stored in store.list("")
            if stored.key != MARKER
        }
    finally:
        store.close()


def objects_in(folder: Path) -> dict[str, bytes]:
    return objects(FolderStore(folder / "store"))
