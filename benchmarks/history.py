"""What submit, claim, get and list take with 200 000 ended jobs in the database, against none."""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from tests.clock import FakeClock
from tests.databases import open_sqlite, prepare
from tests.jobs.make import LEASE, NEW_JOB, organization, queue, silent, take

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.jobs.store import query
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.insert import insert_jobs
from usina.kernel.jobs.table import jobs

RATIO_MOST: Final = 1.3
_REPEATS: Final = 300


async def _fill(database: Database, owner: str, count: int) -> None:
    """Ended jobs with their events, as many at a time as a transaction bears."""
    new = replace(NEW_JOB, organization_id=owner, labels={"batch": "old"})

    def unit(tx: Transaction) -> None:
        made = insert_jobs(tx, [new] * 5000, silent)
        ended = {"status": "SUCCEEDED", "progress": 1.0, "finished_at": tx.now}
        ids = [job.id for job in made]
        tx.execute(sa.update(jobs).where(jobs.c.id.in_(ids)).values(ended))

    for _ in range(count // 5000):
        await database.write(unit)


async def _measure(database: Database, owner: str) -> dict[str, float]:
    """Median seconds of each operation."""
    ids = [(await queue(database, owner))[0].id for _ in range(5)]

    async def claim_and_finish() -> None:
        for claimed in await take(database):
            ending = Ending(claimed.lease, None)
            await database.write(lambda tx, e=ending: finish(tx, [e], 1.0, silent))

    async def list_page() -> None:
        wanted = query.JobFilter()
        await database.read(lambda tx: query.page(tx, owner, wanted, None, 50, LEASE))

    async def get() -> None:
        await database.read(lambda tx: query.find(tx, owner, ids[0], LEASE))

    async def submit() -> None:
        await queue(database, owner)

    operations: dict[str, Callable[[], Awaitable[None]]] = {
        "submit": submit,
        "claim and finish": claim_and_finish,
        "get": get,
        "list": list_page,
    }
    return {name: await _median(operation) for name, operation in operations.items()}


async def _median(operation: Callable[[], Awaitable[None]]) -> float:
    times: list[float] = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        await operation()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def _run(count: int, rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        databases: list[tuple[Database, str]] = []
        for name, size in (("empty", 0), ("full", count)):
            place = Path(folder) / name
            place.mkdir()
            database = open_sqlite(place, FakeClock())
            await prepare(database)
            owner = await organization(database)
            await _fill(database, owner, size)
            databases.append((database, owner))
        ratios: dict[str, list[float]] = {}
        for _ in range(rounds):
            empty, full = [await _measure(database, owner) for database, owner in databases]
            for name in empty:
                ratios.setdefault(name, []).append(full[name] / empty[name])
        for database, _ in databases:
            await database.close()
        return {name: statistics.median(found) for name, found in ratios.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ratios = asyncio.run(_run(options.jobs, options.rounds))
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} (aim at most {RATIO_MOST})")
    return int(any(ratio > RATIO_MOST for ratio in ratios.values()))


if __name__ == "__main__":
    sys.exit(main())
