"""Workers, queues and schedules of either client."""

from dataclasses import replace
from typing import Any

import pytest

from tests.client.conftest import collected, done
from tests.client.fake import FakePlatform, answer, file, page, problem
from usina_client import (
    InvalidRequestError,
    JobRequest,
    PermissionDeniedError,
    SchedulePlan,
    Upload,
    plan_of,
)

WORKER: dict[str, Any] = {
    "id": "w1",
    "name": "box",
    "slots": 4,
    "free": {"slots": 1},
    "queues": ["default"],
    "warm_models": ["inflate-v1"],
    "draining": False,
    "started_at": "2026-01-01T00:00:00Z",
    "seen_at": "2026-01-01T00:00:05Z",
    "sandbox": {"landlock": {"on": False, "reason": "no kernel for it"}},
}
QUEUE: dict[str, Any] = {
    "name": "default",
    "paused": False,
    "depth": 7,
    "running": 3,
    "oldest_wait_seconds": 12.5,
    "throughput": {"jobs_per_minute": 1.5, "window_seconds": 600},
    "warm_models": [{"model": "inflate-v1", "workers": ["w1"]}],
    "resources": {"workers": 1, "slots": 4, "busy_slots": 3},
}
SCHEDULE: dict[str, Any] = {
    "id": "s1",
    "name": "nightly",
    "cron": "30 2 * * *",
    "every_seconds": None,
    "timezone": "Europe/Lisbon",
    "job": {
        "model": "echo-v1",
        "params": {"seconds": 1},
        "inputs": {"image": "f9"},
        "priority": 5,
        "max_attempts": 2,
        "timeout_seconds": 60,
        "labels": {"k": "v"},
        "strict": True,
    },
    "catch_up": "all",
    "enabled": True,
    "created_at": "2026-01-01T00:00:00Z",
    "next_at": "2026-01-02T02:30:00Z",
    "last_job_id": None,
    "last_error": None,
}


async def test_workers_are_listed_drained_and_resumed(platform: FakePlatform, client: Any) -> None:
    platform.on("GET /api/v1/workers", page([WORKER], "more"), page([WORKER | {"id": "w2"}]))
    platform.on("POST /api/v1/workers/w1/drain", answer(WORKER | {"draining": True}))
    platform.on("POST /api/v1/workers/w1/resume", answer(WORKER))
    workers = await collected(client.workers.list())
    assert [worker.id for worker in workers] == ["w1", "w2"]
    assert workers[0].sandbox["landlock"].reason == "no kernel for it"
    assert (await done(client.workers.drain("w1"))).draining
    assert not (await done(client.workers.resume("w1"))).draining


async def test_queues_are_listed_paused_and_resumed(platform: FakePlatform, client: Any) -> None:
    platform.on("GET /api/v1/queues", page([QUEUE]))
    platform.on("POST /api/v1/queues/default/pause", answer(QUEUE | {"paused": True}))
    platform.on("POST /api/v1/queues/default/resume", problem(403, "forbidden"))
    [queue] = await collected(client.queues.list())
    assert (queue.depth, queue.resources.busy_slots) == (7, 3)
    assert (queue.throughput.jobs_per_minute, queue.warm_models[0].workers) == (1.5, ["w1"])
    assert (await done(client.queues.pause("default"))).paused
    with pytest.raises(PermissionDeniedError):
        await done(client.queues.resume("default"))


async def test_a_name_reaches_nothing_outside_of_its_collection(
    platform: FakePlatform, client: Any
) -> None:
    platform.on("POST /api/v1/queues/../x/pause", problem(404, "not_found"))
    with pytest.raises(ValueError, match="names nothing"):
        await done(client.queues.pause(".."))
    assert platform.seen == []


async def test_a_schedule_is_made_with_its_file(platform: FakePlatform, client: Any) -> None:
    platform.on("POST /api/v1/files", answer(file(b"png", id="f9"), 201))
    platform.on("POST /api/v1/schedules", answer(SCHEDULE, 201))
    job = JobRequest(model="echo-v1", inputs={"image": Upload.of(b"png", name="a.png")})
    plan = SchedulePlan(name="nightly", job=job, cron="30 2 * * *", timezone="Europe/Lisbon")
    made = await done(client.schedules.create(plan, idempotency_key="k"))
    assert (made.id, made.next_at.hour, made.job.priority) == ("s1", 2, 5)
    [sent] = platform.requests("POST /api/v1/schedules")
    assert sent.headers["idempotency-key"] == "k"
    assert sent.json == {
        "name": "nightly",
        "cron": "30 2 * * *",
        "every_seconds": None,
        "timezone": "Europe/Lisbon",
        "job": {"model": "echo-v1", "params": {}, "inputs": {"image": "f9"}},
        "catch_up": "one",
        "enabled": True,
    }


async def test_a_refused_schedule_leaves_no_file(platform: FakePlatform, client: Any) -> None:
    platform.on("POST /api/v1/files", answer(file(b"png", id="f9"), 201))
    platform.on("DELETE /api/v1/files/f9", answer(None, 204))
    platform.on("POST /api/v1/schedules", problem(422, "validation_failed"))
    job = JobRequest(model="echo-v1", inputs={"image": Upload.of(b"png", name="a.png")})
    with pytest.raises(InvalidRequestError):
        await done(client.schedules.create(SchedulePlan(name="n", job=job, cron="x")))
    assert len(platform.requests("DELETE /api/v1/files/f9")) == 1


async def test_what_is_not_changed_goes_back_as_it_came(
    platform: FakePlatform, client: Any
) -> None:
    platform.on("GET /api/v1/schedules/s1", answer(SCHEDULE))
    platform.on("PUT /api/v1/schedules/s1", answer(SCHEDULE | {"enabled": False}))
    found = await done(client.schedules.get("s1"))
    changed = await done(client.schedules.replace("s1", replace(plan_of(found), enabled=False)))
    assert not changed.enabled
    [sent] = platform.requests("PUT /api/v1/schedules/s1")
    told = {"id", "created_at", "next_at", "last_job_id", "last_error"}
    wanted = {name: value for name, value in SCHEDULE.items() if name not in told}
    assert sent.json == wanted | {"enabled": False}


async def test_schedules_are_listed_and_deleted(platform: FakePlatform, client: Any) -> None:
    platform.on("GET /api/v1/schedules", page([SCHEDULE]))
    platform.on("DELETE /api/v1/schedules/s1", answer(None, 204))
    [found] = await collected(client.schedules.list(limit=5))
    assert found.name == "nightly"
    assert await done(client.schedules.delete(found.id)) is None
