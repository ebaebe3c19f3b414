"""What claims and submits take with 10 000 and with 1 000 000 jobs queued, against none.

The jobs are of 1 000 organizations, each with a lane of its own, which is there in the empty
database too. As many stand in one lane of another queue, of a model that the worker there can not
run, before the one that it claims. Both engines keep what they answered: PostgreSQL runs on a disk,
with ``fsync``.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from tests.databases import open_sqlite, prepare
from tests.jobs.make import NEW_JOB, silent, slots
from tests.jobs.many import multiply
from tests.postgres import PostgresServer

from usina.kernel.clock import SystemClock
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.ids import new_id
from usina.kernel.jobs.store.claim import claim
from usina.kernel.jobs.store.insert import insert_jobs
from usina.kernel.tenancy.table import organizations

RATIO_MOST: Final = 1.3
ORGANIZATIONS: Final = 1000
BATCH: Final = 16
_POSTGRES: Final = "shared_buffers = 256MB\nmax_wal_size = 4GB\nmax_connections = 50\n"


@dataclass(frozen=True, slots=True)
class _Place:
    """A database with so many jobs queued."""

    database: Database
    owners: tuple[str, ...]


async def _filled(database: Database, count: int) -> _Place:
    """Every organization has a lane; the jobs are spread over them in turn."""
    await prepare(database)
    owners = tuple(new_id() for _ in range(ORGANIZATIONS))

    def unit(tx: Transaction) -> tuple[str, str]:
        rows = [{"id": owner, "name": owner, "created_at": tx.now} for owner in owners]
        tx.execute(sa.insert(organizations), rows)
        new = [replace(NEW_JOB, organization_id=owner) for owner in owners]
        before = replace(new[0], queue="gpu", model="heavy", priority=1)
        pattern, heavy = insert_jobs(tx, [new[0], before], silent)
        insert_jobs(tx, new[1:], silent)
        return pattern.id, heavy.id

    pattern, heavy = await database.write(unit)
    await multiply(database, pattern, owners, count)
    await multiply(database, heavy, owners[:1], count, after=count)
    await _claim(database, ORGANIZATIONS)
    return _Place(database, owners)


async def _submit(place: _Place, owners: Sequence[str]) -> None:
    new = [replace(NEW_JOB, organization_id=owner) for owner in owners]
    await place.database.write(lambda tx: insert_jobs(tx, new, silent))


async def _claim_past(place: _Place) -> tuple[float, int]:
    """How long a claim takes of one job behind those of the other model, and what it took."""
    new = replace(NEW_JOB, organization_id=place.owners[0], queue="gpu", model="light")
    await place.database.write(lambda tx: insert_jobs(tx, [new], silent))
    request = replace(slots(1), queues=("gpu",), models=frozenset({"light"}))
    began = time.perf_counter()
    claims = await place.database.write(lambda tx: claim(tx, request, silent))
    return time.perf_counter() - began, len(claims.taken)


async def _claim(database: Database, most: int) -> int:
    request = slots(most)
    return len((await database.write(lambda tx: claim(tx, request, silent))).taken)


async def _measure(place: _Place, repeats: int, times: dict[str, list[float]]) -> None:
    """As many jobs are claimed as are submitted, so that as many wait afterwards."""
    owners = itertools.cycle(place.owners)
    for _ in range(repeats):
        for count, name in ((1, "of one"), (BATCH, f"of {BATCH}")):
            chosen = list(itertools.islice(owners, count))
            began = time.perf_counter()
            await _submit(place, chosen)
            submitted = time.perf_counter()
            taken = await _claim(place.database, count)
            ended = time.perf_counter()
            assert taken == count
            times.setdefault(f"submit {name}", []).append(submitted - began)
            times.setdefault(f"claim {name}", []).append(ended - submitted)
        seconds, taken = await _claim_past(place)
        assert taken == 1
        times.setdefault("claim past others", []).append(seconds)


@asynccontextmanager
async def _sqlite(sizes: Sequence[int]) -> AsyncGenerator[list[_Place]]:
    with tempfile.TemporaryDirectory(prefix="usina-scale-") as folder:
        places: list[_Place] = []
        for size in sizes:
            (where := Path(folder) / str(size)).mkdir()
            places.append(await _filled(open_sqlite(where, SystemClock()), size))
        yield places
        for place in places:
            await place.database.close()


@asynccontextmanager
async def _postgresql(sizes: Sequence[int]) -> AsyncGenerator[list[_Place]]:
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="usina-scale-")), _POSTGRES)
    async with AsyncExitStack() as stack:
        places: list[_Place] = []
        for size in sizes:
            database = PostgresDatabase(await stack.enter_async_context(server.lent()))
            stack.push_async_callback(database.close)
            places.append(await _filled(database, size))
        await server.execute("CHECKPOINT")
        yield places


_ENGINES: Final[dict[str, Callable[[Sequence[int]], Any]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}


async def _run(engine: str, sizes: Sequence[int], rounds: int, repeats: int) -> bool:
    """Whether every operation stays flat."""
    async with _ENGINES[engine](sizes) as places:
        times: list[dict[str, list[float]]] = [{} for _ in places]
        for place in places:
            await _measure(place, repeats, {})
        for _ in range(rounds):
            for place, kept in zip(places, times, strict=True):
                await _measure(place, repeats, kept)
    flat = True
    medians = [{name: statistics.median(found) for name, found in kept.items()} for kept in times]
    for name, empty in medians[0].items():
        ratios = [kept[name] / empty for kept in medians[1:]]
        told = ", ".join(
            f"{ratio:.2f} with {size:,} queued"
            for ratio, size in zip(ratios, sizes[1:], strict=True)
        )
        print(f"{engine} {name}: {empty * 1e3:.2f} ms empty; {told} (aim {RATIO_MOST})", flush=True)
        flat = flat and max(ratios) <= RATIO_MOST
    return flat


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=list(_ENGINES))
    options = parser.parse_args()
    sizes = [0, *options.sizes]
    flat = [
        asyncio.run(_run(engine, sizes, options.rounds, options.repeats))
        for engine in options.engines
    ]
    return int(not all(flat))


if __name__ == "__main__":
    sys.exit(main())
