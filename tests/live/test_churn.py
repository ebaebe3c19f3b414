"""Many who come and go leave nothing behind: no listener, no tail, no connection, no file."""

import asyncio
import os
import random
from pathlib import Path

import httpx2

from tests.http.conftest import Running, at_work, settings_of
from tests.live.socket import socket
from usina.kernel.telemetry import FOLLOWERS

COMINGS = int(os.environ.get("COMINGS", "400"))
"""Ten thousand, where there is time for them."""

AT_ONCE = 50


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def come_and_go(host: str, port: int, key: str, job: str, dice: random.Random) -> None:
    """A request for a stream, cut off at any moment: before, amid or after its answer."""
    path = dice.choice(["/api/v1/events", f"/api/v1/jobs/{job}/events", "/api/v1/ws"])
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\n"
    head += (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        if path.endswith("ws")
        else "Accept: text/event-stream\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, port)
    asked = head.encode()
    writer.write(asked[: dice.choice([len(asked), len(asked), len(asked) // 2])])
    if dice.random() < 0.5:
        try:
            async with asyncio.timeout(0.05):
                await reader.read(100)
        except TimeoutError:
            pass
    if dice.random() < 0.3:
        writer.transport.abort()
    else:
        writer.close()


async def quiet(made: Running, owner: str) -> None:
    """Once nobody follows any more."""
    channels = ("sse", "websocket")
    async with asyncio.timeout(30):
        while (
            made.platform.events._tails
            or made.platform.bus.has_listeners(owner)
            or any(FOLLOWERS.labels(channel)._value.get() for channel in channels)
        ):
            await asyncio.sleep(0.02)


async def test_many_come_and_go(tmp_path: Path) -> None:
    async with at_work(settings_of(tmp_path)) as made:
        api = await made.new_organization()
        job = await api.running(params={"seconds": 600})
        host, port = made.anyone.base_url.host, made.anyone.base_url.port
        assert port is not None
        dice, turn = random.Random(5), asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            async with turn:
                await come_and_go(host, port, api.key, job["id"], dice)

        await asyncio.gather(*(one() for _ in range(100)))
        await quiet(made, api.caller.organization_id)
        files, tasks = open_files(), len(asyncio.all_tasks())
        for _ in range(COMINGS // 400):
            await asyncio.gather(*(one() for _ in range(400)))
        await quiet(made, api.caller.organization_id)
        async with asyncio.timeout(30):
            while open_files() > files + 5 or len(asyncio.all_tasks()) > tasks + 5:
                await asyncio.sleep(0.05)
        async with socket(str(made.anyone.base_url), token=api.key) as client:
            await client.hear()
            second = await api.submit()
            assert await client.updates(second["id"])
        async with httpx2.AsyncClient(base_url=made.anyone.base_url) as fresh:
            assert (await fresh.get("/ready")).status_code == 200
        await api.ended_by_cancel(job["id"])
