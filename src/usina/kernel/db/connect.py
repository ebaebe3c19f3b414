"""A bare connection to a whole database, for who moves it; work with it runs in a greenlet.

Everybody else has units (:mod:`usina.kernel.db.unit_of_work`).
"""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util.concurrency import greenlet_spawn

from usina.kernel.db.migrations import revision_of, upgrade
from usina.kernel.db.postgres import (
    PostgresDatabase,
    PostgresOptions,
    open_postgres,
    refusal_of,
    upgrade_postgres,
)
from usina.kernel.db.sqlite import SqliteDatabase, open_engine, translated
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import StorageFull, Unavailable

T = TypeVar("T")

Address = str | Path
"""A PostgreSQL server's database, or the file of an SQLite one."""

_PATIENT: Final = PostgresOptions(connections=1, statement_seconds=6 * 3600)
_UNHURRIED: Final = sa.text("SET idle_in_transaction_session_timeout = 0")


def open_database(address: Address, options: PostgresOptions | None = None) -> Database:
    """The database behind units. Its schema is looked at by nobody."""
    if isinstance(address, Path):
        return SqliteDatabase(address)
    return PostgresDatabase(address, options)


async def upgrade_database(address: Address) -> None:
    """Brings the schema to ``HEAD``; raises ``Unavailable`` where nobody answers,
    ``StorageFull`` where a file finds no room."""
    if isinstance(address, Path):
        with _opened(address, "BEGIN IMMEDIATE") as engine:
            upgrade(engine)
        return
    try:
        await upgrade_postgres(address)
    except Exception as error:
        raise _told(error, address) from error


async def revision_at(address: Address) -> str | None:
    """The revision of the schema; null where there is none yet. Makes no file."""
    if isinstance(address, Path) and not address.exists():
        return None
    async with connected(address, read_only=True) as connection:
        return await in_greenlet(lambda: revision_of(connection))


@asynccontextmanager
async def connected(address: Address, *, read_only: bool) -> AsyncGenerator[sa.Connection]:
    """A connection; one to read has a single snapshot from its first statement to its end."""
    if isinstance(address, Path):
        begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
        with _opened(address, begin) as engine, engine.connect() as connection:
            yield connection
        return
    server = open_postgres(address, _PATIENT)
    if read_only:
        server = server.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    try:
        try:
            opened = await server.connect()
        except Exception as error:
            raise _told(error, address) from error
        await opened.execute(_UNHURRIED)
        if not read_only:
            await opened.commit()
        connection = opened.sync_connection
        assert connection is not None, "it was opened above"
        try:
            yield connection
        finally:
            await opened.close()
    except DBAPIError as error:
        raise refusal_of(error) or _lost(error, address) from error
    finally:
        await server.dispose()


@contextmanager
def _opened(file: Path, begin: str) -> Generator[sa.Engine]:
    engine = open_engine(file, begin=begin)
    try:
        yield engine
    except DBAPIError as error:
        if isinstance(refusal := translated(error), StorageFull):
            raise refusal from error
        raise
    finally:
        engine.dispose()


async def in_greenlet(work: Callable[[], T]) -> T:
    """Runs work that waits for either engine as if it did not."""
    return await greenlet_spawn(work)


def shown(address: Address) -> str:
    """The address for people: without its password."""
    if isinstance(address, Path):
        return str(address)
    url = sa.make_url(address)
    return f"PostgreSQL database {url.database} at {url.host or url.query.get('host', 'localhost')}"


def _lost(error: DBAPIError, address: Address) -> Exception:
    """The error as it is, unless the server went away."""
    return _told(error, address) if error.connection_invalidated else error


def _told(error: Exception, address: Address) -> Exception:
    """Why nobody answers, in words that say what to do."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if not isinstance(error, DBAPIError | OSError | TimeoutError):
        return error
    why = str(cause).removeprefix("<class 'asyncpg.exceptions.").strip() or type(cause).__name__
    return Unavailable(
        f"The {shown(address)} can not be opened: {why}. Look at DATABASE_URL and at the server.",
        code="database_unavailable",
    )
