"""procrastinate on PostgreSQL: its worker is notified; a job's state is asked for each millisecond,
since it tells nobody when one ends."""

import asyncio
import os
from collections.abc import Mapping

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Status

from benchmarks.peer import drive
from benchmarks.rig import Rig, module

_ASK_SECONDS = 0.001


def _app(url: str) -> App:
    app = App(connector=PsycopgConnector(conninfo=url, min_size=4, max_size=8))

    @app.task(name="echo")
    async def echo(value: int) -> int:
        return value

    return app


class ProcrastinatePeer:
    name = "procrastinate"
    database = "procrastinate"

    async def prepare(self, rig: Rig) -> None:
        app = _app(rig.postgres(self.database))
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    def environment(self, rig: Rig) -> Mapping[str, str]:
        return {"PEER_POSTGRES": rig.postgres(self.database)}

    def worker(self, rig: Rig) -> list[str]:
        return module("peer_procrastinate")

    async def cycles(self, rig: Rig, count: int, flight: int) -> list[float]:
        app = _app(rig.postgres(self.database))
        async with app.open_async():
            echo = app.configure_task("echo")

            async def cycle() -> None:
                job_id = await echo.defer_async(value=1)
                while await app.job_manager.get_job_status_async(job_id) != Status.SUCCEEDED:
                    await asyncio.sleep(_ASK_SECONDS)

            return await drive(cycle, count, flight)


async def _work() -> None:
    app = _app(os.environ["PEER_POSTGRES"])
    async with app.open_async():
        await app.run_worker_async(concurrency=2, install_signal_handlers=True)


if __name__ == "__main__":
    asyncio.run(_work())
