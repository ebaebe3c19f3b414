"""SQLite behind the unit of work: one writer thread with group commit, a few reader threads.

Units that arrive while a commit is being made durable share the next one, each in its own
savepoint, so sixteen callers cost one ``fsync``. The file is in WAL mode with ``synchronous=FULL``:
a unit that has returned survives a power cut.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
_READERS: Final = 4
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16000",
)


@dataclass(slots=True)
class _Waiting:
    """A unit on its way to the writer thread, and where its answer goes."""

    unit: Unit[Any]
    loop: asyncio.AbstractEventLoop
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
        self._writer_engine = open_engine(path, begin="BEGIN IMMEDIATE")
        self._reader_engine = open_engine(path, begin="BEGIN")
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="usina-db-reader")
        self._writer = threading.Thread(target=self._write_groups, name="usina-db", daemon=True)
        self._writer.start()

    async def write(self, unit: Unit[T]) -> T:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(unit, loop, loop.create_future())
        self._waiting.put(waiting)
        return await waiting.future

    async def read(self, unit: Unit[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, unit)

    async def close(self) -> None:
        self._waiting.put(None)
        await asyncio.to_thread(self._writer.join)
        self._readers.shutdown()
        self._writer_engine.dispose()
        self._reader_engine.dispose()

    def _read(self, unit: Unit[T]) -> T:
        with self._reader_engine.connect() as connection:
            return unit(Transaction(connection, self._clock.now()))

    def _write_groups(self) -> None:
        with self._writer_engine.connect() as connection:
            while (first := self._waiting.get()) is not None:
                group = [first]
                last = _drain(self._waiting, group)
                self._write_group(connection, group)
                _deliver(group)
                if last:
                    return

    def _write_group(self, connection: sa.Connection, group: list[_Waiting]) -> None:
        try:
            with connection.begin():
                for waiting in group:
                    self._run(connection, waiting, alone=len(group) == 1)
        except BaseException as error:
            for waiting in group:
                waiting.error = waiting.error or _translated(error)

    def _run(self, connection: sa.Connection, waiting: _Waiting, *, alone: bool) -> None:
        transaction = Transaction(connection, self._clock.now())
        if alone:
            waiting.result = waiting.unit(transaction)
        else:
            connection.exec_driver_sql("SAVEPOINT unit")
            try:
                waiting.result = waiting.unit(transaction)
            except Exception as error:
                waiting.error = _translated(error)
                connection.exec_driver_sql("ROLLBACK TO unit")
            connection.exec_driver_sql("RELEASE unit")
        waiting.hooks = transaction.hooks


def _drain(waiting: queue.SimpleQueue[_Waiting | None], group: list[_Waiting]) -> bool:
    """Moves what waits into the group; true when the end mark was among it."""
    with suppress(queue.Empty):
        while len(group) < _GROUP:
            item = waiting.get_nowait()
            if item is None:
                return True
            group.append(item)
    return False


def _deliver(group: list[_Waiting]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
    for waiting in group:
        by_loop.setdefault(waiting.loop, []).append(waiting)
    for loop, members in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed while its unit was committed
            loop.call_soon_threadsafe(_deliver_all, members)


def _deliver_all(members: list[_Waiting]) -> None:
    for member in members:
        member.deliver()


def _translated(error: BaseException) -> BaseException:
    """A full disk is a refusal that callers understand; everything else stays what it is."""
    if isinstance(error, OperationalError) and isinstance(error.orig, sqlite3.OperationalError):
        text = str(error.orig)
        if "full" in text or "disk I/O" in text:
            return StorageFull()
    return error


def _json_text(value: Any) -> str:
    return to_json(value).decode()


def open_engine(path: Path, *, begin: str = "BEGIN IMMEDIATE") -> sa.Engine:
    """The engine of one file; every transaction of it begins with ``begin``."""
    engine = sa.create_engine(
        f"sqlite:///{path}",
        json_serializer=_json_text,
        json_deserializer=from_json,
        pool_size=_READERS,
        connect_args={"check_same_thread": False},
    )

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine
