"""What a worker's heartbeats, progress and logs take with 200 jobs that run and talk.

On PostgreSQL. Every job writes a line of output and a step of progress each second, through its own
reporter, as its program would make it do; leases are renewed every five seconds. Told is the time
of the worker's processor, as a share of one core.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.databases import prepare
from tests.jobs.make import LEASE, MEMORY, NEW_JOB, claim_now, organization, silent, slots
from tests.postgres import PostgresServer

from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.db.unit_of_work import Database
from usina.kernel.events.bus import Bus
from usina.kernel.ids import new_id
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store.claim import Claimed
from usina.kernel.jobs.store.insert import insert_jobs
from usina.kernel.jobs.store.lease import WorkerRow, heartbeat
from usina.kernel.worker.reporter import Reporter, gathered

SHARE_MOST: Final = 0.05
_HEARTBEAT_SECONDS: Final = 5.0
_LINE: Final = b"step 17 of 400: the residual is 1.9e-5 and falls\n"


async def _running(database: Database, worker: WorkerRow, count: int) -> list[Claimed]:
    """Jobs of ten organizations, claimed by the worker."""
    owners = [await organization(database) for _ in range(10)]
    new = [replace(NEW_JOB, organization_id=owners[n % 10]) for n in range(count)]
    await database.write(lambda tx: insert_jobs(tx, new, silent))
    request = replace(slots(count, worker=worker.id), free=worker.room, capacity=worker.room)
    return (await database.write(lambda tx: claim_now(tx, request))).taken


async def _talk(reporter: Reporter, seconds: float) -> None:
    await asyncio.sleep(random.random())
    for second in range(int(seconds)):
        reporter.log(_LINE)
        reporter.progress(second / seconds, "solving")
        await asyncio.sleep(1)


async def _beat(database: Database, worker: WorkerRow, held: list[Claimed]) -> None:
    leases = [claimed.lease for claimed in held]
    while True:
        found = await database.write(lambda tx: heartbeat(tx, worker, leases, LEASE))
        assert len(found.held) == len(leases)
        await asyncio.sleep(_HEARTBEAT_SECONDS)


async def _keep(_name: str, _descriptor: int) -> None:
    """Nothing is saved here."""


async def _measure(count: int, seconds: float) -> float:
    """The share of a core."""
    with tempfile.TemporaryDirectory(prefix="usina-heartbeat-") as folder:
        (home := Path(folder) / "pg").mkdir()
        async with PostgresServer(home, "max_connections = 50\n").lent() as url:
            database, bus = PostgresDatabase(url), Bus()
            await prepare(database)
            worker = WorkerRow(new_id(), "worker", Room(count, count * MEMORY), ("default",))
            held = await _running(database, worker, count)
            reports = gathered(database, bus)
            reporters = [
                Reporter(reports, bus, claimed.lease, f"{folder}/{claimed.job.id}.log", _keep)
                for claimed in held
            ]
            beating = asyncio.create_task(_beat(database, worker, held))
            began, spent = time.perf_counter(), time.process_time()
            await asyncio.gather(*(_talk(reporter, seconds) for reporter in reporters))
            share = (time.process_time() - spent) / (time.perf_counter() - began)
            beating.cancel()
            for reporter in reporters:
                await reporter.close()
            await database.close()
            return share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    share = asyncio.run(_measure(options.jobs, options.seconds))
    print(f"{options.jobs} jobs: {share:.1%} of one core (aim at most {SHARE_MOST:.0%})")
    return int(share > SHARE_MOST)


if __name__ == "__main__":
    sys.exit(main())
