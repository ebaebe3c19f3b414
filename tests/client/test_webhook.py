"""Webhooks of either client, and what a receiver does with what came."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.client.conftest import collected, done
from tests.client.fake import FakePlatform, answer, job, page
from usina.kernel.webhooks.sign import headers_of
from usina_client import (
    WebhookPlan,
    WebhookVerificationError,
    verify_webhook,
    webhook_plan_of,
)

WEBHOOK: dict[str, Any] = {
    "id": "e1",
    "url": "https://hooks.example.org/usina",
    "event_types": ["job.failed"],
    "description": "orders",
    "enabled": True,
    "own_secret": True,
    "created_at": "2026-01-01T00:00:00Z",
    "failing_since": "2026-01-02T00:00:00Z",
    "disabled_at": None,
    "disabled_reason": None,
}
DELIVERY: dict[str, Any] = {
    "id": "d1",
    "endpoint_id": "e1",
    "job_id": None,
    "type": "job.failed",
    "url": "https://hooks.example.org/usina",
    "status": "pending",
    "created_at": "2026-01-01T00:00:00Z",
    "attempt_count": 1,
    "last_attempt": {
        "at": "2026-01-01T00:00:00Z",
        "duration_seconds": 0.2,
        "status_code": None,
        "error": {"code": "timeout", "message": "No whole answer within 15 s."},
        "answer": None,
    },
    "next_attempt_at": "2026-01-01T00:00:05Z",
}
SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="


async def test_an_endpoint_is_made_changed_and_deleted(platform: FakePlatform, client: Any) -> None:
    platform.on("POST /api/v1/webhooks", answer(WEBHOOK, 201))
    platform.on("GET /api/v1/webhooks", page([WEBHOOK]))
    platform.on("PUT /api/v1/webhooks/e1", answer(WEBHOOK | {"enabled": False}))
    platform.on("DELETE /api/v1/webhooks/e1", answer(None, 204))
    plan = WebhookPlan(url=WEBHOOK["url"], own_secret=True)
    made = await done(client.webhooks.create(plan, idempotency_key="k"))
    [listed] = await collected(client.webhooks.list())
    assert made == listed
    off = replace(webhook_plan_of(made), enabled=False)
    assert (await done(client.webhooks.replace("e1", off))).enabled is False
    await done(client.webhooks.delete("e1"))
    posted, _, put, _ = platform.seen
    assert posted.headers["idempotency-key"] == "k"
    usual = {"url": WEBHOOK["url"], "description": "", "enabled": True}
    assert posted.json == usual | {"own_secret": True}, "the platform's own types"
    changed = {"url": WEBHOOK["url"], "description": "orders", "enabled": False}
    assert put.json == changed | {"event_types": ["job.failed"]}


async def test_secrets_are_of_the_organization_or_of_an_endpoint(
    platform: FakePlatform, client: Any
) -> None:
    until = "2026-01-02T00:00:00Z"
    secret = {"secret": SECRET, "previous_valid_until": None}
    for below in ("webhooks", "webhooks/e1"):
        platform.on(f"GET /api/v1/{below}/secret", answer(secret))
        rotated = secret | {"previous_valid_until": until}
        platform.on(f"POST /api/v1/{below}/secret/rotate", answer(rotated))
    for which in ((), ("e1",)):
        assert (await done(client.webhooks.secret(*which))).secret == SECRET
        assert (await done(client.webhooks.rotate_secret(*which))).previous_valid_until


async def test_deliveries_are_listed_looked_at_and_replayed(
    platform: FakePlatform, client: Any
) -> None:
    detail = DELIVERY | {"attempts": [DELIVERY["last_attempt"]], "body": {"type": "job.failed"}}
    platform.on("GET /api/v1/webhooks/deliveries", page([DELIVERY]))
    platform.on("GET /api/v1/webhooks/deliveries/d1", answer(detail))
    platform.on("POST /api/v1/webhooks/deliveries/d1/replay", answer(DELIVERY, 202))
    platform.on("POST /api/v1/webhooks/e1/test", answer(DELIVERY, 202))
    found = client.webhooks.deliveries(status=["pending", "failed"], webhook_id="e1", limit=7)
    [delivery] = await collected(found)
    assert delivery.last_attempt.error.code == "timeout"
    assert platform.seen[0].query == [
        *(("status", "pending"), ("status", "failed"), ("endpoint_id", "e1"), ("limit", "7")),
    ]
    assert (await done(client.webhooks.delivery("d1"))).body["type"] == "job.failed"
    assert (await done(client.webhooks.replay("d1"))).id == "d1"
    assert (await done(client.webhooks.test("e1"))).id == "d1"


def received(age: timedelta = timedelta(0), **told: Any) -> tuple[dict[str, str], bytes]:
    moment = datetime.now(UTC) - age
    event = {"type": "job.succeeded", "timestamp": "2026-01-01T00:00:00Z", "data": job()} | told
    body = json.dumps(event).encode()
    return dict(headers_of("m1", moment, body, ["whsec_b3RoZXI=", SECRET])), body


def test_what_the_platform_signs_is_an_event() -> None:
    headers, body = received()
    event = verify_webhook({k.title(): v for k, v in headers.items()}, body, SECRET)
    assert (event.id, event.type) == ("m1", "job.succeeded")
    assert event.job is not None
    assert event.job.id == event.data["id"]
    other, body = received(type="webhook.disabled", data={"reason": "gone"})
    assert verify_webhook(other, body.decode(), SECRET).job is None


@pytest.mark.parametrize("what", ["body", "id", "secret", "signature", "missing", "old", "early"])
def test_anything_else_is_not_trusted(what: str) -> None:
    ages = {"old": timedelta(minutes=6), "early": timedelta(minutes=-6)}
    headers, body = received(ages.get(what, timedelta(0)))
    secret = "whsec_bm9ib2R5cw==" if what == "secret" else SECRET
    if what == "body":
        body = body.replace(b"succeeded", b"cancelled")
    elif what == "id":
        headers["webhook-id"] = "m2"
    elif what == "signature":
        headers["webhook-signature"] = "v1"
    elif what == "missing":
        del headers["webhook-timestamp"]
    with pytest.raises(WebhookVerificationError):
        verify_webhook(headers, body, secret)


def test_what_is_signed_and_no_event_is_not_trusted() -> None:
    for body in (b"[]", b"{}", b'"x"'):
        headers = headers_of("m1", datetime.now(UTC), body, [SECRET])
        with pytest.raises(WebhookVerificationError):
            verify_webhook(headers, body, SECRET)
