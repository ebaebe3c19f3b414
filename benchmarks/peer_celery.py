"""Celery on Redis with its results in Redis: two prefork children, without gossip and heartbeats.

One client keeps so many tasks in flight and is told of results by the backend's own channel, which
is the fastest way that Celery has to wait for many.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from celery import Celery

from benchmarks.rig import Rig

app = Celery("peer", broker=os.environ.get("PEER_BROKER"), backend=os.environ.get("PEER_RESULTS"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=os.environ.get("PEER_LATE") == "1",
    worker_prefetch_multiplier=4,
    worker_send_task_events=False,
)


@app.task(name="echo")
def echo(value: int) -> int:
    return value


class CeleryPeer:
    name = "celery"
    database = None

    async def prepare(self, rig: Rig) -> None:
        pass

    def environment(self, rig: Rig) -> Mapping[str, str]:
        return {"PEER_BROKER": rig.redis(1), "PEER_RESULTS": rig.redis(2)}

    def worker(self, rig: Rig) -> list[str]:
        worker = [sys.executable, "-m", "celery", "-A", "benchmarks.peer_celery", "worker"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
        return [*worker, "-c", "2", "-O", "fair", *quiet]

    async def cycles(self, rig: Rig, count: int, flight: int) -> list[float]:
        app.conf.update(broker_url=rig.redis(1), result_backend=rig.redis(2))
        return _cycles(count, flight)


def _cycles(count: int, flight: int) -> list[float]:
    consumer: Any = app.backend.result_consumer
    ended: deque[Any] = deque()
    began: dict[str, float] = {}
    each: list[float] = []
    asked = 0
    while len(each) < count:
        while asked < count and asked - len(each) < flight:
            moment = time.perf_counter()
            result = echo.delay(asked)
            began[result.id] = moment
            result.then(ended.append)
            asked += 1
        while not ended:
            consumer.drain_events(timeout=1)
        while ended:
            result = ended.popleft()
            each.append(time.perf_counter() - began.pop(result.id))
            assert result.state == "SUCCESS", result
    return each
