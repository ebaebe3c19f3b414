"""dbos on PostgreSQL: a queue without a limit, looked at every 10 ms; results asked for each
millisecond."""

import asyncio
import os
import sys
import threading
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping
from pathlib import Path

from dbos import DBOS, DBOSClient

from benchmarks.peer import drive
from benchmarks.rig import Rig, module

_LOOK_SECONDS = 0.01
_ASK_SECONDS = 0.001


class DbosPeer:
    name = "dbos"
    database = "dbos"

    async def prepare(self, rig: Rig) -> None:
        command = str(Path(sys.executable).with_name("dbos"))
        arguments = "migrate", "--sys-db-url", _url(rig)
        made = await asyncio.create_subprocess_exec(
            command, *arguments, stdout=DEVNULL, stderr=DEVNULL
        )
        assert await made.wait() == 0

    def environment(self, rig: Rig) -> Mapping[str, str]:
        return {"PEER_POSTGRES": _url(rig)}

    def worker(self, rig: Rig) -> list[str]:
        return module("peer_dbos")

    async def cycles(self, rig: Rig, count: int, flight: int) -> list[float]:
        client = DBOSClient(system_database_url=_url(rig), system_database_pool_size=16)

        async def cycle() -> None:
            handle = await client.enqueue_async({"queue_name": "echo", "workflow_name": "echo"}, 1)
            assert await handle.get_result(polling_interval_sec=_ASK_SECONDS) == 1

        each = await drive(cycle, count, flight)
        client.destroy()
        return each


def _url(rig: Rig) -> str:
    return rig.postgres(DbosPeer.database)


def _work() -> None:
    url = os.environ["PEER_POSTGRES"]
    DBOS(config={"name": "peer", "system_database_url": url, "run_admin_server": False})

    @DBOS.workflow(name="echo")
    def echo(value: int) -> int:
        return value

    DBOS.launch()
    DBOS.register_queue("echo", polling_interval_sec=_LOOK_SECONDS)
    threading.Event().wait()


if __name__ == "__main__":
    _work()
