"""A worker is gone soon after it was told to, whatever Redis does meanwhile."""

from collections.abc import Callable
from time import monotonic

import pytest

from tests.distributed.part import Part, until
from tests.distributed.site import Site
from tests.redis_server import RedisServer

pytestmark = pytest.mark.xdist_group("distributed stop")

GRACE = 2
MOST = GRACE + 10
"""Seconds: what runs has its grace, and is then told, killed and handed back."""


def away(redis: RedisServer) -> None:
    redis.stop()


def still(redis: RedisServer) -> None:
    redis.hold_still()


def emptied(redis: RedisServer) -> None:
    redis.restart()


def well(redis: RedisServer) -> None:
    """Nothing happens to it."""
    assert redis.port


@pytest.mark.parametrize("trouble", [away, still, emptied, well])
@pytest.mark.parametrize("connected", [False, True])
def test_a_worker_that_is_told_to_stop_is_gone_within_its_grace_and_a_little(
    empty: Site, redis: RedisServer, trouble: Callable[[RedisServer], None], connected: bool
) -> None:
    """Its job, which would run on, is handed back: no attempt is charged, no lease waited for."""
    started = empty.api(), empty.worker("--slots", "1"), empty.celery("worker", "-c", "1")
    api, *workers = started
    for part in (api, workers[0]):
        part.ready()
    user = empty.user(api)
    if connected:
        for worker in workers:
            worker.logged(" ready.", 60)
    until(lambda: len(user.get("/workers")["items"]) == 2, 60)
    jobs = user.submit_many(2, seconds=300, progress_steps=3000)
    for job in jobs:
        user.in_progress(job)
    trouble(redis)
    began = monotonic()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        assert ended(worker) == 0, worker.log[-3000:]
        assert monotonic() - began < MOST
    for job in jobs:
        found = user.job(job)
        assert (found["status"], found["attempt"], found["max_attempts"]) == ("QUEUED", 2, 4)
    assert user.get("/workers")["items"] == []


def ended(worker: Part) -> int:
    return worker.ended(3 * MOST)


def test_a_worker_that_waits_for_redis_at_its_start_is_gone_when_it_is_told(
    empty: Site, redis: RedisServer
) -> None:
    redis.stop()
    worker = empty.worker().ready()
    worker.terminate()
    assert ended(worker) == 0
