"""The commands of operators and of schedules: what they print, ask for and end with."""

from typing import Any

import pytest

from tests.cli.conftest import Usina
from tests.cli.test_command import ENTRY
from tests.client.fake import JOB_ID, FakePlatform, answer, job, page, problem
from tests.client.test_operator import QUEUE, SCHEDULE, WORKER

ECHO: dict[str, Any] = ENTRY | {
    "name": "echo-v1",
    "input_schema": {"type": "object", "properties": {"image": {}}},
    "params_schema": {
        "type": "object",
        "properties": {"seconds": {"type": "number", "minimum": 0}, "fail": {"type": "string"}},
    },
}


def test_queues_are_listed(platform: FakePlatform, usina: Usina) -> None:
    paused = QUEUE | {"name": "io", "paused": True, "oldest_wait_seconds": None, "warm_models": []}
    platform.on("GET /api/v1/queues", page([QUEUE, paused]))
    done = usina("queues", "list")
    assert done.code == 0
    assert done.out.splitlines() == [
        "default\topen\t7\t12 s\t3\t1.5\t3 of 4 busy\tinflate-v1",
        "io\tpaused\t7\t-\t3\t1.5\t3 of 4 busy\t-",
    ]
    assert [queue["name"] for queue in usina("queues", "list", "--json").json] == ["default", "io"]


@pytest.mark.parametrize("deed", ["pause", "resume"])
def test_a_queue_is_paused_and_resumed(platform: FakePlatform, usina: Usina, deed: str) -> None:
    platform.on(f"POST /api/v1/queues/default/{deed}", answer(QUEUE | {"paused": deed == "pause"}))
    done = usina("queues", deed, "default")
    assert (done.code, done.out) == (0, "default\n")
    assert ("usina queues resume default" in done.err) is (deed == "pause")
    assert usina("queues", deed, "default", "--json").json["paused"] is (deed == "pause")


def test_workers_are_listed(platform: FakePlatform, usina: Usina) -> None:
    states = [
        WORKER,
        WORKER | {"id": "w2", "free": {"slots": 4}, "warm_models": []},
        WORKER | {"id": "w3", "draining": True},
        WORKER | {"id": "w4", "draining": True, "free": {"slots": 4}},
    ]
    platform.on("GET /api/v1/workers", page(states))
    done = usina("workers", "list")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [row[2] for row in rows] == ["working", "idle", "draining", "drained"]
    assert rows[0] == ["w1", "box", "working", "3 of 4 busy", "default", "inflate-v1"]
    assert usina("--json", "workers", "list").json[0]["sandbox"]["landlock"]["on"] is False


def test_a_worker_is_drained_and_resumed(platform: FakePlatform, usina: Usina) -> None:
    platform.on("POST /api/v1/workers/w1/drain", answer(WORKER | {"draining": True}))
    platform.on("POST /api/v1/workers/w1/resume", answer(WORKER))
    done = usina("workers", "drain", "w1")
    assert (done.code, done.out) == (0, "w1\n")
    assert "3 of its 4 slots are still busy" in done.err
    assert usina("workers", "resume", "w1").out == "w1\n"
    assert usina("workers", "drain", "w1", "--json").json["draining"] is True


@pytest.mark.parametrize(
    ("status", "code", "exit_code"), [(403, "forbidden", 4), (404, "not_found", 5)]
)
def test_refusals_have_their_exit_codes(
    platform: FakePlatform, usina: Usina, status: int, code: str, exit_code: int
) -> None:
    for path in ("queues/q/pause", "queues/q/resume", "workers/q/drain", "workers/q/resume"):
        platform.on(f"POST /api/v1/{path}", problem(status, code))
        what, name, deed = path.split("/")
        assert usina(what, deed, name).code == exit_code


def test_schedules_are_listed_and_shown(platform: FakePlatform, usina: Usina) -> None:
    every = SCHEDULE | {"id": "s2", "cron": None, "every_seconds": 60, "timezone": "UTC"}
    platform.on("GET /api/v1/schedules", page([SCHEDULE, every | {"next_at": None}]))
    platform.on("GET /api/v1/schedules/s1", answer(SCHEDULE | {"last_error": "It went away."}))
    assert usina("schedules", "list").out.splitlines() == [
        "s1\tnightly\techo-v1\t30 2 * * * (Europe/Lisbon)\t2026-01-02T02:30:00Z",
        "s2\tnightly\techo-v1\tevery 60 s\tdisabled",
    ]
    shown = usina("schedules", "get", "s1").out
    assert "It went away." in shown
    assert "30 2 * * * (Europe/Lisbon)" in shown
    assert "seconds" in shown
    assert usina("schedules", "get", "s1", "--json").json["job"]["priority"] == 5


def test_a_schedule_is_made(platform: FakePlatform, usina: Usina) -> None:
    platform.on("GET /api/v1/models/echo-v1", answer(ECHO))
    platform.on("POST /api/v1/schedules", answer(SCHEDULE, 201))
    done = usina(
        *("schedules", "create", "nightly", "echo-v1", "-p", "seconds=1.5", "--disabled"),
        *("--cron", "30 2 * * *", "--timezone", "Europe/Lisbon", "--catch-up", "all"),
    )
    assert (done.code, done.out) == (0, "s1\n"), done.err
    [sent] = platform.requests("POST /api/v1/schedules")
    assert sent.json == {
        "name": "nightly",
        "cron": "30 2 * * *",
        "every_seconds": None,
        "timezone": "Europe/Lisbon",
        "job": {"model": "echo-v1", "params": {"seconds": 1.5}, "inputs": {}},
        "catch_up": "all",
        "enabled": False,
    }


@pytest.mark.parametrize("rule", [[], ["--cron", "* * * * *", "--every", "5"]])
def test_a_schedule_has_one_rule(platform: FakePlatform, usina: Usina, rule: list[str]) -> None:
    done = usina("schedules", "create", "n", "echo-v1", *rule)
    assert done.code == 2
    assert "--cron" in done.err
    assert platform.seen == []


def test_a_refused_parameter_is_explained(platform: FakePlatform, usina: Usina) -> None:
    platform.on("GET /api/v1/models/echo-v1", answer(ECHO))
    place = {"pointer": "/job/params/seconds", "message": "It is below 0."}
    platform.on("POST /api/v1/schedules", problem(422, "validation_failed", errors=[place]))
    done = usina("schedules", "create", "n", "echo-v1", "--every", 60, "-p", "seconds=-1")
    assert done.code == 1
    assert "/job/params/seconds: It is below 0." in done.err
    assert "seconds takes a number, at least 0" in done.err


def test_an_update_changes_what_is_given(platform: FakePlatform, usina: Usina) -> None:
    platform.on("GET /api/v1/models/echo-v1", answer(ECHO))
    platform.on("GET /api/v1/schedules/s1", answer(SCHEDULE))
    platform.on("PUT /api/v1/schedules/s1", answer(SCHEDULE))
    done = usina("schedules", "update", "s1", "--every", 60, "--disable", "-p", "fail=internal")
    assert (done.code, done.out) == (0, "s1\n"), done.err
    [sent] = platform.requests("PUT /api/v1/schedules/s1")
    assert (sent.json["cron"], sent.json["every_seconds"]) == (None, 60)
    assert sent.json["enabled"] is False
    assert sent.json["job"]["params"] == {"seconds": 1, "fail": "internal"}
    assert (sent.json["name"], sent.json["catch_up"]) == ("nightly", "all")
    assert sent.json["job"]["labels"] == {"k": "v"}


def test_a_schedule_is_deleted(platform: FakePlatform, usina: Usina) -> None:
    platform.on("DELETE /api/v1/schedules/s1", answer(None, 204))
    assert usina("schedules", "delete", "s1").out == "s1\n"
    assert usina("schedules", "delete", "s1", "--json").json == {"id": "s1", "deleted": True}
    assert usina("schedules", "delete", "s9").code == 5


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("slot", "at place 3: every slot is busy"),
        ("retry_delay", "until the next attempt"),
        ("queue_paused", "the queue is paused"),
        ("no_worker", "no worker can run it now; usina models echo-v1 says why"),
    ],
)
def test_a_job_says_in_words_why_it_waits(
    platform: FakePlatform, usina: Usina, reason: str, words: str
) -> None:
    waiting = job(waiting_reason=reason, queue_position=3)
    platform.on(f"GET /api/v1/jobs/{JOB_ID}", answer(waiting))
    assert words in usina("jobs", "get", JOB_ID).out
    assert usina("jobs", "get", JOB_ID, "--json").json["waiting_reason"] == reason
