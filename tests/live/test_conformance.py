"""One job, watched on every channel at once, at two processes that hear little of each other."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import grpc.aio
import httpx2

from tests.distributed.site import Site, site
from tests.live.hooked import Hooked, hooked
from tests.live.lossy_redis import lossy_redis
from tests.live.socket import socket
from tests.live.watcher import CHANNELS, Door, Seen, Watcher
from tests.port import free_port
from tests.redis_server import running_redis
from tests.rpc.client import Client
from usina.faces.grpc.proto.usina.v1 import jobs_pb2 as pb

EACH = 3
SEED = 17
LOST = 0.7


def test_all_who_watch_see_the_same_none_missing_none_twice(tmp_path: Path) -> None:
    allowed = {"USINA_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    with running_redis() as redis, site(tmp_path, redis.url, **allowed) as place:
        watchers, told = asyncio.run(_run(place, redis.port))
    assert [seq for _, seq, _ in told] == list(range(1, len(told) + 1))
    assert len(told) > 8
    for watcher in watchers:
        assert watcher.seen == told, type(watcher).__name__
    returns = Counter[str]()
    for watcher in watchers:
        returns[type(watcher).__name__] += watcher.returns
    assert all(returns[channel.__name__] > 2 * EACH for channel in [*CHANNELS, Hooked]), returns
    assert sum(watcher.repeats for watcher in watchers if isinstance(watcher, Hooked)) > 0


async def _run(place: Site, redis_port: int) -> tuple[list[Watcher], list[Seen]]:
    """Who watched, and what the log says in the end."""
    async with lossy_redis(redis_port, SEED, LOST) as line:
        ports = [free_port() for _ in range(2)]
        apis = [
            place.usina("api", "--port", "0", "--grpc-port", str(port), REDIS_URL=line.url)
            for port in ports
        ]
        parts = [*apis, place.worker(), place.beat(REDIS_URL=line.url)]
        await asyncio.gather(*(asyncio.to_thread(part.ready) for part in parts))
        user = await asyncio.to_thread(place.user, apis[0])
        doors = [Door(api.word, f"127.0.0.1:{port}") for api, port in zip(apis, ports, strict=True)]
        watchers = await _watched(doors, user.key)
        listed = await asyncio.to_thread(user.get, f"/jobs/{watchers[0].job}/events?limit=200")
        assert line.lost > 10
        assert line.carried > 0
    return watchers, [(event["id"], event["seq"], event["type"]) for event in listed["items"]]


async def _watched(doors: list[Door], key: str) -> list[Watcher]:
    """Everybody who watched one job to its end; long-polls too have told it."""
    async with socket(doors[0].url, token=key) as client:
        start = (await client.hear())["cursor"]
    submission = {"model": "echo-v1", "params": {"seconds": 8, "progress_steps": 160}}
    headers = {"x-api-key": key}
    async with (
        httpx2.AsyncClient(base_url=doors[0].url, headers=headers, timeout=70) as first,
        httpx2.AsyncClient(base_url=doors[1].url, headers=headers, timeout=70) as second,
        grpc.aio.insecure_channel(doors[1].grpc) as channel,
        AsyncExitStack() as stack,
    ):
        hooks = [
            await stack.enter_async_context(hooked(doors, key, random.Random(f"{SEED} {number}")))
            for number in range(EACH)
        ]
        job = (await first.post("/api/v1/jobs", json=submission)).json()["id"]
        for hook in hooks:
            hook.job = job
        watchers: list[Watcher] = [
            made(doors, key, job, start, random.Random(f"{SEED} {made.__name__} {number}"))
            for made in CHANNELS
            for number in range(EACH)
        ]
        watchers += hooks
        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            for watcher in watchers:
                group.create_task(watcher.watch())
            polls = [
                group.create_task(client.get(f"/api/v1/jobs/{job}?wait_seconds=60"))
                for client in (first, second)
            ]
            rpc = group.create_task(Client(channel, headers).get(job, 29))
            others = [{"model": "echo-v1"}] * 5
            await second.post("/api/v1/jobs/batch", json={"jobs": others})
    assert [poll.result().json()["status"] for poll in polls] == ["SUCCEEDED"] * 2
    assert rpc.result().status == pb.Job.SUCCEEDED
    return watchers
