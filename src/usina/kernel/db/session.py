"""A session of PostgreSQL that lasts as long as its process: its end tells of a death at once.

The session holds a lock of its name. A process that is killed loses its connection, and with it the
lock, within milliseconds; a machine that vanishes, when its server misses it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import asyncpg
import sqlalchemy as sa
import structlog

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.failpoints import reach

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_AGAIN_SECONDS: Final = 0.1
_ANSWER_SECONDS: Final = 5.0
_LOCK: Final = "SELECT pg_advisory_lock_shared(hashtextextended($1, 0))"
_HELD: Final = (
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_NOTICED_SOON: Final = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
}


class Session:
    """Keeps one session named ``name``, through restarts of the server and cuts of the line.

    ``began`` is called whenever it has begun (again).
    """

    def __init__(self, url: str, name: str, began: Callable[[], None]) -> None:
        address = sa.make_url(url).set(drivername="postgresql")
        self._dsn = address.render_as_string(hide_password=False)
        self._name = name
        self._began = began
        self._holding: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once the session is there, or could not be begun at the first try."""
        first = asyncio.Event()
        self._holding = asyncio.create_task(self._hold_for_ever(first))
        await first.wait()

    async def stop(self) -> None:
        if self._holding is not None:
            self._holding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._holding

    async def _hold_for_ever(self, first: asyncio.Event) -> None:
        while True:
            try:
                await self._hold(first)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("the database session was lost and is begun anew", error=repr(error))
            first.set()
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _hold(self, first: asyncio.Event) -> None:
        """Until the session ends. One that is silent is asked whether it still lives."""
        settings = {"application_name": self._name, **_NOTICED_SOON}
        connection = await asyncpg.connect(
            self._dsn, timeout=_ANSWER_SECONDS, server_settings=settings
        )
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.execute(_LOCK, self._name, timeout=_ANSWER_SECONDS)
            reach("session.after_lock")
            self._began()
            first.set()
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await lost.wait()
                        break
                await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
        finally:
            connection.terminate()


def lives(name: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether the session of that name is there."""
    hashed = sa.func.hashtextextended(name, sa.literal_column("0"), type_=sa.BigInteger)
    return hashed.in_(sa.text(_HELD))


def server_is_young(tx: Transaction, seconds: float) -> bool:
    """Whether the server began so lately that its clients may still be on their way back."""
    age = sa.text("SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())")
    return bool(tx.execute(age).scalar_one() < seconds)
