"""How soon a job runs again whose runner, or whose whole worker, was killed with SIGKILL.

From the kill until the database says that the next attempt runs. The pause that a failed attempt
otherwise waits (``USINA_RETRY_SECONDS``) is set to nothing.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks.http_client import Connection
from benchmarks.many_machines import Platform, worker

_LONG: Final = {"model": "echo-v1", "params": {"seconds": 600}, "max_attempts": 2}
_LOOK_SECONDS: Final = 0.005
_GIVE_UP_SECONDS: Final = 60.0


def runner_killed(ours: Platform, kills: int) -> list[float]:
    """Seconds, of a program of a worker with a free slot."""
    with worker(ours) as one:

        async def kill(job_id: str) -> None:
            while (program := _program_of(one.process.pid)) is None:
                await asyncio.sleep(_LOOK_SECONDS)
            os.kill(program, signal.SIGKILL)

        return [asyncio.run(_again(ours, kill)) for _ in range(kills)]


def worker_killed(ours: Platform, kills: int) -> list[float]:
    """Seconds, of a worker beside a free one; another takes its place each time."""
    taken: list[float] = []
    with ExitStack() as parts:
        workers = {one.id: one for one in (parts.enter_context(worker(ours)) for _ in range(2))}

        async def kill(job_id: str) -> None:
            database: Any = await asyncpg.connect(ours.environment["DATABASE_URL"])
            holder = await database.fetchval("SELECT worker_id FROM jobs WHERE id = $1", job_id)
            await database.close()
            workers.pop(str(holder)).process.kill()

        for _ in range(kills):
            taken.append(asyncio.run(_again(ours, kill)))
            new = parts.enter_context(worker(ours))
            workers[new.id] = new
    return taken


async def _again(ours: Platform, kill: Callable[[str], Awaitable[None]]) -> float:
    """Begins a long job, kills, and measures until it runs again."""
    async with ours.connection() as connection:
        _, job = await connection.request("POST", "/api/v1/jobs", _LONG)
        path = f"/api/v1/jobs/{job['id']}"
        await _runs(connection, path, 1)
        await asyncio.sleep(0.2)  # its program is at work, not only begun
        began = time.time()
        await kill(job["id"])
        await _runs(connection, path, 2)
        _, events = await connection.request("GET", f"{path}/events")
        again = [event["at"] for event in events["items"] if event["type"] == "job.running"][-1]
        await connection.request("POST", f"{path}/cancel")
        await connection.request("GET", f"{path}?wait_seconds=30")
    return datetime.fromisoformat(again).timestamp() - began


async def _runs(connection: Connection, path: str, attempt: int) -> None:
    async with asyncio.timeout(_GIVE_UP_SECONDS):
        while True:
            _, job = await connection.request("GET", path)
            if job["status"] == "RUNNING" and job["attempt"] == attempt:
                return
            await asyncio.sleep(_LOOK_SECONDS)


def _program_of(ancestor: int) -> int | None:
    """A program that a worker runs, by its command, among the worker's descendants."""
    parents: dict[int, int] = {}
    programs: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                status = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                parents[int(entry.name)] = int(status[1])
                if b"run.py" in (entry / "cmdline").read_bytes():
                    programs.append(int(entry.name))
    for program in programs:
        above = program
        while above in parents and above != ancestor:
            above = parents[above]
        if above == ancestor:
            return program
    return None
