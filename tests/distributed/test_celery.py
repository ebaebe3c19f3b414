"""Plain Celery, as its operators know it."""

import json
import socket
from typing import Any

import httpx2
import pytest

from tests.distributed.conftest import Works
from tests.distributed.part import Part, until
from tests.distributed.site import SUCCEEDED_ONCE, Site
from tests.distributed.site import site as site_of
from tests.port import free_port
from usina.kernel.dispatch.celery import key_prefix

pytestmark = pytest.mark.xdist_group("distributed celery")

COMMAND = "celery -A usina.worker worker -P threads"


def test_a_plain_celery_worker_runs_jobs(empty: Site) -> None:
    options = ["-P", "threads", "-c", "2", "-Q", "default,io", "-n", "one@here"]
    api, worker = empty.api(), empty.celery("worker", *options)
    api.ready()
    worker.logged(" ready.")
    user = empty.user(api)
    assert user.outcomes(user.submit_many(5)) == {SUCCEEDED_ONCE}
    [row] = user.get("/workers")["items"]
    assert row["slots"] == 2
    queues = empty.inspect("active_queues", "one@here")
    assert [queue["name"] for queue in queues] == ["default", "io"]
    assert worker.stop() == 0
    assert "superuser" not in worker.log


@pytest.mark.parametrize("pool", [[], ["-P", "prefork"]])
def test_its_pool_is_threads_also_where_celerys_default_is_asked_for(
    empty: Site, pool: list[str]
) -> None:
    worker = empty.celery("worker", *pool, "-c", "1", "-n", "one@here")
    worker.logged(" ready.")
    stats = empty.inspect("stats", "one@here")
    assert stats["pool"]["implementation"] == "celery.concurrency.thread:TaskPool"
    assert worker.stop() == 0


@pytest.mark.parametrize("pool", ["solo", "processes"])
def test_a_pool_that_can_not_hold_our_worker_is_refused(empty: Site, pool: str) -> None:
    worker = empty.celery("worker", "-P", pool)
    assert worker.ended() == 1
    [line] = worker.log.strip().splitlines()
    assert line.endswith(f"Start it with: {COMMAND}")


def test_a_queue_that_is_none_is_refused(empty: Site) -> None:
    for worker in (empty.celery("worker", "-Q", "nonsense"), empty.worker("--queues", "nonsense")):
        assert worker.ended() == 1
        [line] = worker.log.strip().splitlines()
        assert "nonsense" in line
        assert "default, gpu, io" in line


@pytest.mark.parametrize("arguments", [["beat"], ["worker", "-B"]])
def test_celerys_own_clockwork_is_refused(empty: Site, arguments: list[str]) -> None:
    part = empty.celery(*arguments)
    assert part.ended() == 1
    assert part.log.rstrip().endswith("Start the clockwork with: usina beat")
    assert "Traceback" not in part.log


def test_a_worker_of_one_queue_takes_nothing_of_another(empty: Site) -> None:
    started = empty.api(), empty.worker("--queues", "gpu", "--slots", "1", USINA_GPUS="1")
    api, worker = (part.ready() for part in started)
    user = empty.user(api)
    waiting = user.submit()
    name = node_name(worker)
    assert [queue["name"] for queue in empty.inspect("active_queues", name)] == ["gpu"]
    assert user.outcome(user.submit("graphic-v1")) == SUCCEEDED_ONCE
    job = user.job(waiting, 1)
    assert (job["status"], job["started_at"]) == ("QUEUED", None)
    other = empty.worker("--queues", "default", "--slots", "1").ready()
    assert user.outcome(waiting) == SUCCEEDED_ONCE
    assert [part.stop() for part in (worker, other)] == [0, 0]


def test_remote_control_and_flower_see_the_worker_and_its_tasks(lent: Works) -> None:
    site, user = lent.site, lent.user
    assert user.outcomes(user.submit_many(3)) == {SUCCEEDED_ONCE}
    name = node_name(lent.worker)
    lent.worker.logged(" ready.")
    asked = site.celery("inspect", "ping", "--json", "--timeout", "20", "--destination", name)
    assert asked.ended(60) == 0, asked.log
    assert json.loads(asked.told[0]) == {name: {"ok": "pong"}}
    assert site.inspect("active", name) == []
    assert site.inspect("stats", name)["total"]["usina.work"] >= 1
    port = free_port()
    site.celery(
        "flower", "--address=127.0.0.1", f"--port={port}", FLOWER_UNAUTHENTICATED_API="true"
    )

    def flower(path: str) -> dict[str, Any]:
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/api/{path}", timeout=10).json()
        except (httpx2.HTTPError, json.JSONDecodeError):
            return {}

    until(lambda: name in flower("workers?refresh=1"), 60)
    assert user.outcome(user.submit()) == SUCCEEDED_ONCE
    until(lambda: any(task["name"] == "usina.work" for task in flower("tasks").values()), 60)


def node_name(worker: Part) -> str:
    return f"worker-{worker.process.pid}@{socket.gethostname()}"


def send(site: Site, task: str, arguments: list[Any]) -> None:
    """As a strange or late publisher would."""
    app = site.strange_celery()
    app.send_task(task, args=arguments, queue="default")
    app.close()


def test_words_that_are_none_of_ours_do_no_harm(lent: Works) -> None:
    site, user = lent.site, lent.user
    assert user.outcome(user.submit()) == SUCCEEDED_ONCE
    with lent.redis.client() as client:
        log = f"usina:{site.platform_id}"
        for channel in (log, f"{log}:work"):
            for garbage in (
                b"",
                b"\xff\x00",
                b"{}",
                b"[1]",
                b'{"from": 1, "topics": 2, "hints": 3}',
            ):
                client.publish(channel, garbage)
            for topic in ("queue:default", "queue:nonsense", "cancel:nobody"):
                message = {"from": "x", "topics": [topic] * 3, "hints": []}
                client.publish(channel, json.dumps(message))
        for told in (["default"], ["default"], ["nonsense"], [7], [], ["default", 1]):
            send(site, "usina.work", told)
        send(site, "no.such.task", ["default"])
        for garbage in (b"garbage", b"{}", b"[]", b"7"):
            client.lpush(key_prefix(site.platform_id) + "default", garbage)
    ids = [user.submit() for _ in range(3)]
    assert user.outcomes(ids) == {SUCCEEDED_ONCE}
    with lent.redis.client() as client:
        until(lambda: client.llen(key_prefix(site.platform_id) + "default") == 0)
    lent.api.logged("none of ours came over Redis")
    lent.worker.logged("none of ours came over Redis")
    lent.worker.logged("no message lay in a queue")
    assert lent.worker.process.poll() is None
    assert user.outcome(user.submit()) == SUCCEEDED_ONCE
    assert site.inspect("ping", node_name(lent.worker))


def test_two_platforms_on_one_redis_hear_nothing_of_each_other(
    works: Works, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither messages nor remote control; and none of their keys is without an owner."""
    with site_of(tmp_path_factory.mktemp("other"), works.redis.url) as other:
        started = other.api(), other.worker(), other.beat()
        api, worker, beat = (part.ready() for part in started)
        there = other.user(api)
        for part in (worker, works.worker):
            part.logged(" ready.")
        asked = {
            name: at.inspect("ping", name)
            for at, name in ((works.site, node_name(works.worker)), (other, node_name(worker)))
        }
        assert all(answer == {"ok": "pong"} for answer in asked.values())
        strange = other.strange_celery()
        found = strange.control.inspect(timeout=3).ping()
        strange.close()
        assert found == {node_name(worker): {"ok": "pong"}}
        assert works.user.outcomes(works.user.submit_many(5)) == {SUCCEEDED_ONCE}
        assert there.outcomes(there.submit_many(5)) == {SUCCEEDED_ONCE}
        done = [
            at.inspect("stats", name)["total"]
            for at, name in ((works.site, node_name(works.worker)), (other, node_name(worker)))
        ]
        assert all(total.get("usina.work", 0) >= 1 for total in done), done
        with works.redis.client() as client:
            names = [*client.keys(), *client.pubsub_channels()]
        owners = tuple(f"usina:{at.platform_id}".encode() for at in (works.site, other))
        assert [name for name in names if not name.startswith(owners)] == []
        assert [part.stop() for part in (api, worker, beat)] == [0, 0, 0]
