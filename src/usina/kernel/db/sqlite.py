"""SQLite behind the unit of work: one writer with group commit, a few reader threads.

Units run on the event loop, since a statement that waits for no disk is cheaper than a way to a
thread and back; the commit, which waits for the disk, is a thread's. Units that arrive meanwhile
share the next commit, each in its own savepoint, so sixteen callers cost one ``fsync``. The file is
in WAL mode with ``synchronous=FULL``: a unit that has returned survives a power cut.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from pydantic_core import from_json, to_json
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from usina.kernel.clock import Clock, SystemClock
from usina.kernel.db.unit_of_work import Transaction, Unit
from usina.kernel.errors import StorageFull

T = TypeVar("T")

_GROUP: Final = 256
_BUSY_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.005
_READERS: Final = 4
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16000",
    "PRAGMA secure_delete=ON",
)


@dataclass(slots=True)
class _Waiting:
    """A unit that waits to be written, and where its answer goes."""

    unit: Unit[Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    hooks: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    def deliver(self) -> None:
        if self.error is None:
            for hook in self.hooks:
                hook()
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class SqliteDatabase:
    """One database file, opened by one process for writing (others may write in between)."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._writer_engine = open_engine(path, begin=None, busy_seconds=0)
        self._reader_engine = open_engine(path, begin="BEGIN")
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._connection: sa.Connection | None = None
        self._closed = False
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="usina-db-commit")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="usina-db-reader")

    async def write(self, unit: Unit[T], *, tenant: str | None = None) -> T:
        if self._closed:
            raise RuntimeError("The database is closed.")
        waiting = _Waiting(unit, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_groups())
        return await waiting.future

    async def read(self, unit: Unit[T], *, tenant: str | None = None) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, unit)

    async def scrub(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._readers, self._empty_log)

    def _empty_log(self) -> None:
        """Deleted rows were overwritten; the log still has them until it is emptied."""
        with self._reader_engine.connect() as connection:
            raw = _driver(connection)
            raw.rollback()
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        self._closed = True
        if self._writing is not None:
            await self._writing
        self._committer.shutdown()
        self._readers.shutdown()
        if self._connection is not None:
            self._connection.close()
        self._writer_engine.dispose()
        self._reader_engine.dispose()

    def _read(self, unit: Unit[T]) -> T:
        with self._reader_engine.connect() as connection:
            return unit(Transaction(connection, _driver(connection), self._clock.now()))

    async def _write_groups(self) -> None:
        """As long as there is something to write."""
        connection = self._connection = self._connection or self._writer_engine.connect()
        driver = _driver(connection)
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]
            try:
                await _begin(driver)
                for waiting in group:
                    opened = Transaction(connection, driver, self._clock.now())
                    self._run(opened, waiting, alone=len(group) == 1)
                await asyncio.get_running_loop().run_in_executor(self._committer, driver.commit)
            except Exception as error:
                driver.rollback()
                for waiting in group:
                    waiting.error = waiting.error or translated(error)
            for waiting in group:
                waiting.deliver()

    def _run(self, transaction: Transaction, waiting: _Waiting, *, alone: bool) -> None:
        if alone:
            waiting.result = waiting.unit(transaction)
        else:
            transaction.driver.execute("SAVEPOINT unit", ())
            try:
                waiting.result = waiting.unit(transaction)
            except Exception as error:
                waiting.error = translated(error)
                transaction.driver.execute("ROLLBACK TO unit", ())
            transaction.driver.execute("RELEASE unit", ())
        waiting.hooks = transaction.hooks


async def _begin(driver: sqlite3.Connection) -> None:
    """A transaction that may write; another process that writes just now is waited for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _BUSY_SECONDS
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or loop.time() > deadline:
                raise
        await asyncio.sleep(_AGAIN_SECONDS)


def translated(error: BaseException) -> BaseException:
    """A full disk is a refusal that callers understand; everything else stays what it is."""
    cause = error.orig if isinstance(error, OperationalError) else error
    if isinstance(cause, sqlite3.OperationalError):
        text = str(cause)
        if "full" in text or "disk I/O" in text:
            return StorageFull()
    return error


def _driver(connection: sa.Connection) -> sqlite3.Connection:
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection), "the engine is SQLite's"
    return driver


def _json_text(value: Any) -> str:
    return to_json(value).decode()


def open_engine(
    path: Path, *, begin: str | None = "BEGIN IMMEDIATE", busy_seconds: float = _BUSY_SECONDS
) -> sa.Engine:
    """The engine of one file; every transaction of it begins with ``begin``, unless its user says
    that to the driver himself, and waits so long for another that writes."""
    engine = sa.create_engine(
        f"sqlite:///{path}",
        json_serializer=_json_text,
        json_deserializer=from_json,
        pool_size=_READERS,
        connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS},
    )

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        connection.execute(f"PRAGMA busy_timeout={busy_seconds * 1000:.0f}")

    def on_begin(connection: sa.Connection) -> None:
        if begin is not None:
            _driver(connection).execute(begin)

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine
