"""`usina webhooks`: what it prints, asks for and ends with."""

from typing import Any

import pytest

from tests.cli.conftest import Usina
from tests.client.fake import FakePlatform, answer, page, problem
from tests.client.test_webhook import DELIVERY, SECRET, WEBHOOK

STATES: list[tuple[dict[str, Any], str]] = [
    ({"failing_since": None}, "enabled"),
    ({}, "failing since 2026-01-02T00:00:00Z"),
    ({"enabled": False}, "disabled (by hand)"),
    ({"enabled": False, "disabled_reason": "gone"}, "disabled (gone)"),
]


def test_endpoints_are_listed_with_their_state(platform: FakePlatform, usina: Usina) -> None:
    platform.on("GET /api/v1/webhooks", page([WEBHOOK | change for change, _ in STATES]))
    rows = [line.split("\t") for line in usina("webhooks", "list").out.splitlines()]
    assert rows[0] == ["e1", WEBHOOK["url"], "enabled", "job.failed", "orders"]
    assert [row[2] for row in rows] == [state for _, state in STATES]
    assert usina("webhooks", "list", "--json").json[0]["id"] == "e1"


def test_one_is_made_changed_and_deleted(platform: FakePlatform, usina: Usina) -> None:
    platform.on("POST /api/v1/webhooks", answer(WEBHOOK, 201))
    platform.on("GET /api/v1/webhooks/e1", answer(WEBHOOK))
    platform.on("PUT /api/v1/webhooks/e1", answer(WEBHOOK))
    platform.on("DELETE /api/v1/webhooks/e1", answer(None, 204))
    made = usina("webhooks", "create", WEBHOOK["url"], "-e", "job.failed", "-e", "job.cancelled")
    assert (made.code, made.out) == (0, "e1\n")
    assert platform.seen[0].json["event_types"] == ["job.failed", "job.cancelled"]
    assert usina("webhooks", "update", "e1", "--disable").out == "e1\n"
    assert platform.seen[-1].json == {
        **{key: WEBHOOK[key] for key in ("url", "event_types", "description")},
        "enabled": False,
    }
    assert usina("webhooks", "delete", "e1", "--json").json == {"id": "e1", "deleted": True}


def test_deliveries_show_what_came_of_them(platform: FakePlatform, usina: Usina) -> None:
    told = DELIVERY | {"id": "d2", "status": "delivered", "next_attempt_at": None}
    told["last_attempt"] = DELIVERY["last_attempt"] | {"status_code": 204, "error": None}
    untried = DELIVERY | {"id": "d3", "last_attempt": None, "attempt_count": 0}
    platform.on("GET /api/v1/webhooks/deliveries", page([DELIVERY, told, untried]))
    rows = [line.split("\t") for line in usina("webhooks", "deliveries").out.splitlines()]
    due = "2026-01-01T00:00:05Z"
    assert rows[0] == ["d1", "job.failed", "pending", "1", "timeout", due, DELIVERY["url"]]
    assert [row[4:6] for row in rows[1:]] == [["204", "-"], ["-", due]]
    asked = usina("webhooks", "deliveries", "--status", "failed", "--webhook", "e1", "--job", "j")
    assert asked.code == 0
    assert platform.seen[-1].query == [
        *(("status", "failed"), ("endpoint_id", "e1"), ("job_id", "j"), ("limit", "50")),
    ]


def test_secrets_tests_and_replays(platform: FakePlatform, usina: Usina) -> None:
    secret = {"secret": SECRET, "previous_valid_until": None}
    platform.on("GET /api/v1/webhooks/secret", answer(secret))
    platform.on("POST /api/v1/webhooks/e1/secret/rotate", answer(secret))
    platform.on("POST /api/v1/webhooks/e1/test", answer(DELIVERY, 202))
    platform.on("POST /api/v1/webhooks/deliveries/d1/replay", answer(DELIVERY, 202))
    assert usina("webhooks", "secret").out == f"{SECRET}\n"
    assert usina("webhooks", "secret", "e1", "--rotate").out == f"{SECRET}\n"
    assert usina("webhooks", "test", "e1").out == "d1\n"
    assert usina("webhooks", "replay", "d1").out == "d1\n"


@pytest.mark.parametrize(("status", "code", "ends"), [(404, "not_found", 5), (409, "conflict", 1)])
def test_refusals_have_their_exit_codes(
    platform: FakePlatform, usina: Usina, status: int, code: str, ends: int
) -> None:
    platform.on("POST /api/v1/webhooks/deliveries/d1/replay", problem(status, code))
    assert usina("webhooks", "replay", "d1").code == ends
