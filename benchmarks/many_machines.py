"""The platform as several processes: an API and workers of two slots, on the rig's servers."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.http_client import Connection
from benchmarks.peer import drive
from benchmarks.rig import Rig

DATABASE: Final = "usina"
_COMMAND: Final = [sys.executable, "-m", "usina.faces.cli.main"]


@dataclass(frozen=True, slots=True)
class Platform:
    """A running API. ``environment`` is what its workers need."""

    host: str
    port: int
    api_key: str
    environment: Mapping[str, str]

    def connection(self) -> Connection:
        return Connection(self.host, self.port, self.api_key)


@dataclass(frozen=True, slots=True)
class Worker:
    id: str
    process: subprocess.Popen[str]


@contextmanager
def platform(rig: Rig, folder: Path) -> Iterator[Platform]:
    """Migrated, seeded and answering."""
    api_key = secrets.token_urlsafe(32)
    environment = {
        "DATABASE_URL": rig.postgres(DATABASE),
        "REDIS_URL": rig.redis(0),
        "USINA_STORAGE_URL": (folder / "store").as_uri(),
        "USINA_DATA": str(folder / "data"),
        "USINA_SLOTS": "2",
        "USINA_RETRY_SECONDS": "0",
        "SECRET_KEY": secrets.token_hex(32),
        "FIRST_SUPERUSER_USERNAME": "owner@localhost",
        "FIRST_SUPERUSER_PASSWORD": secrets.token_urlsafe(18),
        "FIRST_SUPERUSER_API_KEY": api_key,
    }
    for step in (["db", "upgrade"], ["seed"]):
        done = [*_COMMAND, *step]
        subprocess.run(done, env=os.environ | environment, check=True, capture_output=True)
    with _started(["api", "--port", "0"], environment) as (_, word):
        host, _, port = word.removeprefix("http://").rpartition(":")
        yield Platform(host, int(port), api_key, environment)


@contextmanager
def worker(running: Platform) -> Iterator[Worker]:
    """One worker process of two slots, at work."""
    with _started(["worker"], running.environment) as (process, name):
        yield Worker(name, process)


@contextmanager
def _started(
    arguments: list[str], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that says ``ready`` and a word, and surely ends."""
    with subprocess.Popen(
        [*_COMMAND, *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline().split()
        assert said[:1] == ["ready"], f"usina {arguments[0]} does not start"
        try:
            yield process, said[1]
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


async def cycles(running: Platform, count: int, flight: int) -> list[float]:
    """Jobs from a POST over HTTP until a client that waits sees their success; seconds each."""
    waiting = asyncio.Queue[Connection]()
    for _ in range(flight):
        waiting.put_nowait(await running.connection().__aenter__())

    async def cycle() -> None:
        connection = waiting.get_nowait()
        status, job = await connection.request("POST", "/api/v1/jobs", {"model": "echo-v1"})
        assert status == 202, job
        _, job = await connection.request("GET", f"/api/v1/jobs/{job['id']}?wait_seconds=60")
        assert job["status"] == "SUCCEEDED", job
        waiting.put_nowait(connection)

    each = await drive(cycle, count, flight)
    while not waiting.empty():
        await waiting.get_nowait().__aexit__()
    return each
