"""Redis emptied, restarted, away, or still: every job ends once, and only time is lost.

Delays are told by the contract: five seconds for each job's begin while Redis is away, and a submit
that answers at once. The bounds here have room for a machine that is busy with other tests.
"""

import threading
from time import monotonic

import pytest

from tests.distributed.conftest import Works
from tests.distributed.part import until
from tests.distributed.site import SUCCEEDED_ONCE, User, meanwhile

pytestmark = pytest.mark.xdist_group("distributed redis")

BEGIN_SECONDS = 5 + 4
SUBMIT_SECONDS = 2  # what asking Redis would take
FAST_SECONDS = 1


def test_flushed_with_work_queued(lent: Works) -> None:
    user, redis = lent.user, lent.redis
    ids = user.submit_many(6, seconds=0.3)
    redis.flush()
    ids += user.submit_many(6, seconds=0.1)
    assert user.outcomes(ids) == {SUCCEEDED_ONCE}


def test_restarted_empty_under_load(lent: Works) -> None:
    user, redis = lent.user, lent.redis
    ids = user.submit_many(10, seconds=0.2)
    redis.restart()
    ids += user.submit_many(5)
    assert user.outcomes(ids) == {SUCCEEDED_ONCE}
    assert fast_begin(user) < FAST_SECONDS


def test_absent_for_a_while(lent: Works) -> None:
    user, redis = lent.user, lent.redis
    running = user.submit(seconds=2)
    user.running(running)
    with meanwhile() as threads:
        redis.stop()
        streamed = threads.submit(user.streamed, running)
        polled = threads.submit(user.ended, running)
        lent.api.logged("Redis does not answer")
        assert slow_begin(user) < BEGIN_SECONDS
        assert polled.result(30)["status"] == "SUCCEEDED"
        assert streamed.result(30)[-1] == "job.succeeded"
    checks = user.ready()["checks"]
    assert checks["database"] == checks["storage"] == "ok"
    assert checks["redis"] != "ok"
    redis.start()
    until(lambda: user.ready()["checks"]["redis"] == "ok")
    assert fast_begin(user) < FAST_SECONDS
    assert user.outcome(running) == SUCCEEDED_ONCE
    assert user.job(running)["attempt"] == 1


def test_a_stop_while_it_is_absent(works: Works) -> None:
    """Nobody waits for a Redis that does not come back."""
    job = works.user.submit(seconds=60)
    works.user.running(job)
    works.redis.stop()
    for part in (works.worker, works.beat, works.api):
        assert part.stop(20) == 0, part.log


def test_still_for_ten_seconds(lent: Works) -> None:
    user, redis = lent.user, lent.redis
    with redis.held_still():
        began = monotonic()
        while monotonic() - began < 10:
            assert slow_begin(user) < BEGIN_SECONDS
    assert fast_begin(user) < FAST_SECONDS


def test_a_worker_that_is_cut_off_again_and_again_finds_work(lent: Works) -> None:
    user, redis, over = lent.user, lent.redis, threading.Event()

    def cut() -> None:
        with redis.client() as client:
            while not over.wait(0.05):
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes")
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    with meanwhile() as threads:
        cutting = threads.submit(cut)
        try:
            for _ in range(2):
                assert slow_begin(user) < BEGIN_SECONDS
        finally:
            over.set()
            cutting.result(10)
    assert fast_begin(user) < FAST_SECONDS


def slow_begin(user: User) -> float:
    """How long a job waited that ended once, submitted while Redis does not answer."""
    with user.client() as client:
        began = monotonic()
        job = client.post("/jobs", json={"model": "echo-v1"}).raise_for_status().json()["id"]
        assert monotonic() - began < SUBMIT_SECONDS
    assert user.outcome(job) == SUCCEEDED_ONCE
    assert user.job(job)["attempt"] == 1
    return user.job(job)["metrics"]["queued_seconds"]


def fast_begin(user: User) -> float:
    """How long a job waits, once everybody has heard that Redis is back."""
    waits: list[float] = []

    def fast() -> bool:
        job = user.submit()
        assert user.outcome(job) == SUCCEEDED_ONCE
        waits.append(user.job(job)["metrics"]["queued_seconds"])
        return waits[-1] < FAST_SECONDS

    until(fast, 60)
    return waits[-1]
