"""PostgreSQL behind the unit of work: the same units, over asyncpg.

A unit runs in a greenlet, on the event loop: each of its statements waits for the server without
holding anybody up. It is a task of its own, so that a caller who goes away leaves no half-used
connection behind. Every transaction opens with what begins it, takes the role and sets the limits
(for this transaction only, as a pooler wants it). That goes ahead of the unit's first question;
until this is answered, a lost connection is a matter of trying again.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa
from pydantic_core import from_json, to_json
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util.concurrency import greenlet_spawn

from usina.kernel.clock import Clock
from usina.kernel.db.address import shown
from usina.kernel.db.migrations import revision_of, upgrade_on
from usina.kernel.db.postgres_driver import Opening, PostgresDriver
from usina.kernel.db.unit_of_work import OutcomeUnknown, Transaction, Unit
from usina.kernel.db.wall import ENGINE, REQUEST, TENANT, RolesMissing
from usina.kernel.errors import Problem, StorageFull, Unavailable

T = TypeVar("T")

_AWAY_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.05
_UPGRADE_SECONDS: Final = 24 * 3600.0
_STATEMENTS_KEPT: Final = 400
_COLLISIONS: Final = frozenset({"40001", "40P01"})
_TOO_LONG: Final = frozenset({"55P03", "57014"})
_AWAY: Final = ("08", "57P01", "57P02", "57P03", "53300")
_FULL: Final = "53100"
_LOST: Final = "The database was lost and nothing has happened; ask again."
_WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LIMITS: Final = "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"
_NO_SUCH_ROLE: Final = frozenset({"22023", "42501"})
_ONE_UPGRADE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('usina upgrade', 0))"


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """``pooler``: a transaction pooler such as PgBouncer stands between, so nothing may be kept in
    a session, prepared statements included.

    A process that stops in the midst of a unit is put out after half of ``lock_seconds``, before
    those who wait for its locks give up.
    """

    connections: int = 10
    pooler: bool = False
    statement_seconds: float = 30.0
    lock_seconds: float = 10.0


class PostgresDatabase:
    """One database of a PostgreSQL server, which other processes use at the same time.

    Writes are ``READ COMMITTED``; reads are ``REPEATABLE READ``, which is one snapshot. The time is
    the database's, unless a ``clock`` is given.
    """

    def __init__(
        self, url: str, options: PostgresOptions | None = None, clock: Clock | None = None
    ) -> None:
        options = options or PostgresOptions()
        self._engine = open_postgres(
            url, options, isolation_level="AUTOCOMMIT", pool_reset_on_return=None
        )
        self._clock = clock
        limits = options.statement_seconds, options.lock_seconds, options.lock_seconds / 2
        self._limits = tuple(
            f"SET LOCAL {name} = {seconds * 1000:.0f}"
            for name, seconds in zip(_LIMITS, limits, strict=True)
        )
        self._pooler = options.pooler
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def write(self, unit: Unit[T], *, tenant: str | None = None) -> T:
        return await asyncio.shield(self._apart(self._written(unit, tenant)))

    async def read(self, unit: Unit[T], *, tenant: str | None = None) -> T:
        """The answer is given before the transaction has ended, which changes nothing of it."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        reading = self._apart(self._in_transaction(_READ, unit, tenant, answer))
        reading.add_done_callback(partial(_tell, answer))
        return await answer

    async def scrub(self) -> None:
        """Its vacuum reclaims dead rows, and its log is recycled: neither is ours to hurry."""

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._engine.dispose()

    def _apart(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """A task whose end does not hang on the caller's."""
        if self._closed:
            work.close()
            raise RuntimeError("The database is closed.")
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # it is the caller's, who may have left

    async def _written(self, unit: Unit[T], tenant: str | None) -> T:
        """What two transactions spoil for each other is tried once more, after the other one."""
        try:
            done = await self._in_transaction(_WRITE, unit, tenant)
        except Exception as error:
            if _sqlstate(error) not in _COLLISIONS:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
            done = await self._in_transaction(_WRITE, unit, tenant)
        for hook in done.hooks:
            hook()
        return done.result

    async def _in_transaction(
        self,
        begin: str,
        unit: Unit[T],
        tenant: str | None,
        answer: "asyncio.Future[T] | None" = None,
    ) -> "_Attempt[T]":
        opening = Opening((begin, *_acting(tenant), *self._limits))
        deadline = asyncio.get_running_loop().time() + _AWAY_SECONDS
        apart = self._pooler
        while True:
            attempt = _Attempt(unit, opening, self._clock, answer, apart=apart)
            try:
                await greenlet_spawn(attempt.run, self._engine.sync_engine)
                return attempt
            except Exception as error:
                if attempt.unclear and _sqlstate(error) in {"", *_NO_SUCH_ROLE}:
                    apart = True
                    continue
                if (told := _told(error, attempt, writes=begin is _WRITE)) is not None:
                    raise told from error
                if attempt.heard or not _is_away(error, connected=attempt.connected):
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable("The database can not be reached; ask again.") from error
            if not attempt.connected:
                await asyncio.sleep(_AGAIN_SECONDS)


def _tell(answer: "asyncio.Future[Any]", reading: "asyncio.Task[Any]") -> None:
    """What ended a read without an answer."""
    if not answer.done() and (error := reading.exception()) is not None:
        answer.set_exception(error)


def _told(error: Exception, attempt: "_Attempt[Any]", *, writes: bool) -> Exception | None:
    """What a caller is told in the place of the error, if not that."""
    if isinstance(error, Problem):
        return None
    if (refusal := refusal_of(error)) is not None:
        return refusal
    if not attempt.heard and _sqlstate(error) in _NO_SUCH_ROLE:
        return RolesMissing()
    if attempt.lost:
        return OutcomeUnknown() if attempt.done and writes else Unavailable(_LOST)
    return None


class _Attempt(Generic[T]):
    """One run of a unit, from BEGIN to COMMIT; ``apart`` sends the opening in a way of its own,
    ``answer`` is told before COMMIT."""

    result: T

    def __init__(
        self,
        unit: Unit[T],
        opening: Opening,
        clock: Clock | None,
        answer: "asyncio.Future[T] | None",
        *,
        apart: bool,
    ) -> None:
        self._unit = unit
        self._answer = answer
        self._opening = opening
        self._clock = clock
        self._apart = apart
        self.connected = False
        self.unclear = False
        """It broke at the first question, with which the opening went."""
        self.heard = False
        """What broke it was not the way to the server: that was asked for nothing, or has begun."""
        self.lost = False
        self.done = False
        self.hooks: Sequence[Callable[[], None]] = ()

    def run(self, engine: sa.Engine) -> None:
        with engine.connect() as connection:
            self.connected = True
            driver = PostgresDriver(connection, self._opening)
            try:
                self._run(connection, driver)
            except BaseException as error:
                began = driver.began or (driver.within and not self._apart)
                self.unclear = driver.sent and not (driver.began or self._apart)
                self.heard = began or not driver.sent
                self.lost = began and (driver.lost or _sqlstate(error).startswith(_AWAY))
                if not driver.undo() and not connection.invalidated:
                    connection.invalidate(error)  # so that nobody gets it from the pool
                raise

    def _run(self, connection: sa.Connection, driver: PostgresDriver) -> None:
        if self._apart:
            driver.begin()
        now = driver.now if self._clock is None else self._clock.now()
        opened = Transaction(connection, driver, now, driver.effects)
        self.result = self._unit(opened)
        driver.effects.let_happen()
        self.done = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self.result)
        driver.commit()
        self.hooks = opened.hooks


def _acting(tenant: str | None) -> tuple[str, ...]:
    """As whom a transaction acts."""
    if tenant is None:
        return (f"SET LOCAL ROLE {ENGINE}",)
    return f"SET LOCAL ROLE {REQUEST}", f"SET LOCAL {TENANT} = '{tenant and UUID(tenant)}'"


def open_postgres(url: str, options: PostgresOptions | None = None, **engine: Any) -> AsyncEngine:
    """The engine of a ``postgresql://`` address, as libpq understands it."""
    options = options or PostgresOptions()
    address = sa.make_url(url).set(drivername="postgresql+asyncpg")
    connect: dict[str, Any] = {
        "timeout": _AWAY_SECONDS,
        "command_timeout": options.statement_seconds + _AWAY_SECONDS,
        "prepared_statement_cache_size": _STATEMENTS_KEPT,
        "statement_cache_size": _STATEMENTS_KEPT,
        "max_cached_statement_lifetime": 0,
    }
    if (mode := address.query.get("sslmode")) is not None:
        address = address.difference_update_query(["sslmode"])
        connect["ssl"] = mode
    if options.pooler:
        connect |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        connect["prepared_statement_name_func"] = str  # no name, so nothing stays behind
    return create_async_engine(
        address,
        json_serializer=_json_text,
        json_deserializer=from_json,
        pool_size=options.connections,
        max_overflow=0,
        pool_timeout=_AWAY_SECONDS,
        connect_args=connect,
        **engine,
    )


class NotUsable(Unavailable):
    """The database can not be used so at all; the text says why, without a password."""

    code = "database_unavailable"


async def upgrade_postgres(url: str) -> None:
    """Brings the database to ``HEAD``; of several processes at once, one does it.

    Raises :class:`NotUsable`, also for a role that may not do it.
    """

    def alone(connection: sa.Connection) -> None:
        connection.exec_driver_sql(_ONE_UPGRADE)
        upgrade_on(connection)

    async with _alone_with(url) as connection:
        try:
            await connection.run_sync(alone)
        except RolesMissing as error:
            raise NotUsable(str(error)) from error
        await connection.commit()


async def revision_of_postgres(url: str) -> str | None:
    """The revision that the database is at; null for an empty one. Raises :class:`NotUsable`."""
    async with _alone_with(url) as connection:
        return await connection.run_sync(revision_of)


@asynccontextmanager
async def _alone_with(url: str) -> AsyncGenerator[AsyncConnection]:
    """A connection for what is done once, which may take its time."""
    options = PostgresOptions(connections=1, pooler=True, statement_seconds=_UPGRADE_SECONDS)
    engine = open_postgres(url, options)
    try:
        try:
            connection = await engine.connect()
        except Exception as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise NotUsable(f"{shown(url)} can not be used: {cause}") from error
        async with aclosing(connection):
            yield connection
    finally:
        await engine.dispose()


@dataclass(frozen=True, slots=True)
class PostgresFound:
    """``version`` as the server counts it (150004), ``ahead_seconds`` of its clock before ours."""

    version: int
    revision: str | None
    ahead_seconds: float


async def look_at_postgres(url: str) -> PostgresFound:
    """What the server says of itself; raises what the way to it raises."""
    engine = open_postgres(url)
    question = sa.text("SELECT current_setting('server_version_num')::int, clock_timestamp()")
    try:
        async with engine.connect() as connection:
            revision = await connection.run_sync(revision_of)
            [(version, now)] = (await connection.execute(question)).all()
            ahead = (now - datetime.now(UTC)).total_seconds()
            return PostgresFound(version, revision, ahead)
    finally:
        await engine.dispose()


def _sqlstate(error: BaseException) -> str:
    """The server's five letters; empty where it was not the server that refused."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or ""


def _is_away(error: BaseException, *, connected: bool) -> bool:
    """Whether the server, or the way to it, is not there just now. On a connection that was made, a
    trouble that the server does not name is one with the connection."""
    state = _sqlstate(error)
    return isinstance(error, OSError) or state.startswith(_AWAY) or (connected and not state)


def refusal_of(error: Exception) -> Unavailable | None:
    """A full disk and a busy database are refusals that callers understand."""
    state = _sqlstate(error)
    if state == _FULL:
        return StorageFull()
    if isinstance(error, PoolTimeout):
        return Unavailable("The database has too much to do; ask again.")
    if state in _TOO_LONG:
        return Unavailable("The database took too long and nothing has happened; ask again.")
    return None


def _json_text(value: Any) -> str:
    return to_json(value).decode()
