"""The databases that behaviours are specified over; PostgreSQL will be the second entry."""

from collections.abc import Callable
from pathlib import Path

from usina.kernel.clock import Clock
from usina.kernel.db import meta
from usina.kernel.db.migrations import upgrade
from usina.kernel.db.sqlite import SqliteDatabase, open_engine
from usina.kernel.db.unit_of_work import Database

OpenDatabase = Callable[[Path, Clock], Database]


def open_sqlite(folder: Path, clock: Clock) -> Database:
    path = folder / "usina.sqlite"
    engine = open_engine(path)
    upgrade(engine)
    engine.dispose()
    return SqliteDatabase(path, clock)


DATABASES: dict[str, OpenDatabase] = {"sqlite": open_sqlite}


async def prepare(database: Database) -> None:
    await database.write(meta.prepare)
