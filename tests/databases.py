"""The databases that behaviours are specified over: one suite, every engine."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.postgres import postgres_server
from usina.kernel.clock import Clock
from usina.kernel.db import meta
from usina.kernel.db.migrations import upgrade
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.db.prepared import Prepared
from usina.kernel.db.sqlite import SqliteDatabase, open_engine
from usina.kernel.db.unit_of_work import Database, Transaction

OpenDatabase = Callable[[Path, Clock], AbstractAsyncContextManager[Database]]


def open_sqlite(folder: Path, clock: Clock) -> Database:
    path = folder / "usina.sqlite"
    engine = open_engine(path)
    upgrade(engine)
    engine.dispose()
    return SqliteDatabase(path, clock)


@asynccontextmanager
async def _sqlite(folder: Path, clock: Clock) -> AsyncGenerator[Database]:
    database = open_sqlite(folder, clock)
    await prepare(database)
    yield database
    await database.close()


@asynccontextmanager
async def _postgresql(_folder: Path, clock: Clock) -> AsyncGenerator[Database]:
    async with postgres_server().lent() as url:
        database = PostgresDatabase(url, clock=clock)
        await prepare(database)
        yield database
        await database.close()


DATABASES: dict[str, OpenDatabase] = {"postgresql": _postgresql, "sqlite": _sqlite}
"""Each opens a fresh, migrated database."""


async def prepare(database: Database) -> None:
    await database.write(meta.prepare)


def as_owner(tx: Transaction) -> None:
    """From here to its end the transaction may change the schema."""
    if tx.connection.dialect.name == "postgresql":
        tx.execute(sa.text("RESET ROLE"))


def plan_of(tx: Transaction, query: sa.Select[Any], values: Mapping[str, Any] | None = None) -> str:
    """How the engine finds the rows. PostgreSQL may not read a small table whole."""
    form = Prepared(query)._form(tx)
    explain = "EXPLAIN QUERY PLAN"
    if tx.connection.dialect.name == "postgresql":
        tx.execute(sa.text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN"
    steps = tx.driver.execute(f"{explain} {form.sql}", form.bound(values or {})).fetchall()
    return "\n".join(str(step[-1]) for step in steps)
