"""pgqueuer on PostgreSQL: no limits, a log buffer of one, completions told without a pause."""

import asyncio
import os
from collections.abc import Mapping
from datetime import timedelta

import asyncpg
from pgqueuer import AsyncpgDriver, AsyncpgPoolDriver, Job, PgQueuer, Queries
from pgqueuer.core.completion import CompletionWatcher

from benchmarks.peer import drive
from benchmarks.rig import Rig, module


class PgqueuerPeer:
    name = "pgqueuer"
    database = "pgqueuer"

    async def prepare(self, rig: Rig) -> None:
        connection = await asyncpg.connect(rig.postgres(self.database))
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()

    def environment(self, rig: Rig) -> Mapping[str, str]:
        return {"PEER_POSTGRES": rig.postgres(self.database)}

    def worker(self, rig: Rig) -> list[str]:
        return module("peer_pgqueuer")

    async def cycles(self, rig: Rig, count: int, flight: int) -> list[float]:
        pool = await asyncpg.create_pool(rig.postgres(self.database), min_size=4, max_size=8)
        listening = await asyncpg.connect(rig.postgres(self.database))
        queries = Queries(AsyncpgPoolDriver(pool))
        watcher = CompletionWatcher(
            AsyncpgDriver(listening), queries=queries, debounce=timedelta(milliseconds=1)
        )
        async with watcher:

            async def cycle() -> None:
                [job_id] = await queries.enqueue("echo", b"{}")
                assert await watcher.wait_for(job_id) == "successful"

            each = await drive(cycle, count, flight)
        await listening.close()
        await pool.close()
        return each


async def _work() -> None:
    connection = await asyncpg.connect(os.environ["PEER_POSTGRES"])
    worker = PgQueuer.from_asyncpg_connection(connection)

    @worker.entrypoint("echo")
    async def echo(job: Job) -> None:
        assert job.payload is not None

    await worker.run(batch_size=int(os.environ.get("PEER_BATCH", "10")))


if __name__ == "__main__":
    asyncio.run(_work())
