"""Schedules over HTTP: strict bodies, whole replacement, and jobs that come by the clock."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.corpus.images import disc, encode
from tests.http.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAN: dict[str, Any] = {"name": "nightly", "cron": "30 2 * * *", "job": {"model": "echo-v1"}}
ADDRESS = "/api/v1/schedules"


async def make(api: Api, **changes: Any) -> dict[str, Any]:
    answer = await api.post(ADDRESS, json=PLAN | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_schedule_is_made_and_found(api: Api) -> None:
    answer = await api.post(ADDRESS, json=PLAN)
    made = answer.json()
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{ADDRESS}/{made['id']}"
    assert set(made) == {
        *("id", "name", "cron", "every_seconds", "timezone", "job", "catch_up", "enabled"),
        *("created_at", "next_at", "last_job_id", "last_error"),
    }
    assert (made["every_seconds"], made["timezone"], made["catch_up"]) == (None, "UTC", "one")
    assert (made["enabled"], made["last_job_id"], made["last_error"]) == (True, None, None)
    assert made["job"] == {
        "model": "echo-v1",
        "params": {},
        "inputs": {},
        "priority": 0,
        "max_attempts": 3,
        "timeout_seconds": None,
        "labels": {},
        "strict": False,
        "reuse": False,
        "callback_url": None,
    }
    next_at = datetime.fromisoformat(made["next_at"])
    assert (next_at.hour, next_at.minute, next_at.second) == (2, 30, 0)
    assert (await api.get(f"{ADDRESS}/{made['id']}")).json() == made
    assert (await api.get(f"{ADDRESS}/{made['id']}/")).json() == made


async def test_a_job_comes_by_the_clock(api: Api) -> None:
    job = {"model": "echo-v1", "params": {"log_lines": 1}, "labels": {"by": "clock"}}
    made = await make(api, cron=None, every_seconds=1, job=job)
    async with asyncio.timeout(15):
        while (now := (await api.get(f"{ADDRESS}/{made['id']}")).json())["last_job_id"] is None:
            await asyncio.sleep(0.05)
    assert (await api("DELETE", f"{ADDRESS}/{made['id']}")).status_code == 204
    assert now["next_at"] > made["next_at"]
    ended = await api.ended(now["last_job_id"])
    assert (ended["status"], ended["labels"]) == ("SUCCEEDED", {"by": "clock"})
    assert ended["params"] == {"log_lines": 1}
    assert (await api.get(f"{ADDRESS}/{made['id']}")).status_code == 404


async def test_the_newest_come_first(api: Api) -> None:
    ids = [(await make(api, name=f"number {n}"))["id"] for n in range(3)]
    page = (await api.get(f"{ADDRESS}?limit=2")).json()
    assert [each["id"] for each in page["items"]] == [ids[2], ids[1]]
    rest = (await api.get(f"{ADDRESS}?limit=2&cursor={page['next_cursor']}")).json()
    assert [each["id"] for each in rest["items"]] == [ids[0]]
    assert rest["next_cursor"] is None


async def test_a_put_replaces_the_whole_of_it(api: Api) -> None:
    made = await make(api, cron=None, every_seconds=3600, catch_up="all", timezone="Asia/Tokyo")
    address = f"{ADDRESS}/{made['id']}"
    kept = {"name": "renamed", "every_seconds": 3600, "timezone": "Asia/Tokyo"}
    answer = await api("PUT", address, json=kept | {"job": {"model": "echo-v1"}})
    renamed = answer.json()
    assert answer.status_code == 200, answer.text
    assert renamed == made | {"name": "renamed", "catch_up": "one"}, "the rest has its default"
    off = (await api("PUT", address, json=PLAN | {"enabled": False})).json()
    assert (off["enabled"], off["next_at"], off["timezone"]) == (False, None, "UTC")
    assert (off["created_at"], off["every_seconds"]) == (made["created_at"], None)
    on = (await api("PUT", address, json=PLAN)).json()
    assert on["next_at"] is not None
    assert (await api.get(address)).json() == on


async def test_a_step_begins_with_its_creation(api: Api) -> None:
    made = await make(api, cron=None, every_seconds=86_400)
    created = datetime.fromisoformat(made["created_at"])
    assert datetime.fromisoformat(made["next_at"]) - created == timedelta(days=1)


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"cron": "61 * * * *"}, "validation_failed", "/cron"),
        ({"cron": "* * * * * *"}, "validation_failed", "/cron"),
        ({"cron": "0 0 30 2 *"}, "validation_failed", "/cron"),
        ({"cron": 5}, "validation_failed", "/cron"),
        ({"every_seconds": 60}, "validation_failed", "/cron"),
        ({"cron": None}, "validation_failed", "/cron"),
        ({"cron": None, "every_seconds": 0}, "validation_failed", "/every_seconds"),
        ({"cron": None, "every_seconds": 1.0}, "validation_failed", "/every_seconds"),
        ({"cron": None, "every_seconds": True}, "validation_failed", "/every_seconds"),
        ({"cron": None, "every_seconds": 10**12}, "validation_failed", "/every_seconds"),
        ({"timezone": "Mars/Olympus"}, "validation_failed", "/timezone"),
        ({"timezone": "../UTC"}, "validation_failed", "/timezone"),
        ({"timezone": None}, "validation_failed", "/timezone"),
        ({"name": ""}, "validation_failed", "/name"),
        ({"name": "n" * 201}, "validation_failed", "/name"),
        ({"name": "a\u0000b"}, "validation_failed", "/name"),
        ({"catch_up": "some"}, "validation_failed", "/catch_up"),
        ({"enabled": 1}, "validation_failed", "/enabled"),
        ({"next_at": "2030-01-01T00:00:00Z"}, "unknown_field", "/next_at"),
        ({"job": {"model": "none"}}, "unknown_model", "/job/model"),
        ({"job": {}}, "validation_failed", "/job/model"),
        ({"job": None}, "validation_failed", "/job"),
        ({"job": {"model": "echo-v1", "parms": {}}}, "unknown_field", "/job/parms"),
        (
            {"job": {"model": "echo-v1", "params": {"seconds": -1}}},
            "validation_failed",
            "/job/params/seconds",
        ),
        (
            {"job": {"model": "echo-v1", "params": {"nothing": 1}}},
            "unknown_field",
            "/job/params/nothing",
        ),
        (
            {"job": {"model": "echo-v1", "inputs": {"image": "x"}}},
            "unknown_field",
            "/job/inputs/image",
        ),
        ({"job": {"model": "echo-v1", "priority": 101}}, "validation_failed", "/job/priority"),
        (
            {"job": {"model": "echo-v1", "callback_url": "https://169.254.169.254"}},
            "address_not_allowed",
            "/job/callback_url",
        ),
    ],
)
async def test_what_is_wrong_is_named(
    api: Api, changes: dict[str, Any], code: str, pointer: str
) -> None:
    made = await make(api)
    address = f"{ADDRESS}/{made['id']}"
    for method, path in (("POST", ADDRESS), ("PUT", address)):
        answer = await api(method, path, json=PLAN | changes)
        assert answer.status_code == 422, answer.text
        problem = answer.json()
        assert (problem["code"], problem["errors"][0]["pointer"]) == (code, pointer), problem
    assert (await api.get(address)).json() == made
    assert len((await api.get(ADDRESS)).json()["items"]) == 1


async def test_an_input_has_to_be_there(api: Api, other: Api) -> None:
    sent = await other.post("/api/v1/files", files={"file": ("a.png", b"\x89PNG\r\n\x1a\n")})
    for source in (sent.json()["id"], "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e"):
        job = {"model": "picture-v1", "inputs": {"image": source}}
        answer = await api.post(ADDRESS, json=PLAN | {"job": job})
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] == "input_not_found"
        assert answer.json()["errors"][0]["pointer"] == "/job/inputs/image"


async def test_another_organization_finds_nothing(api: Api, other: Api) -> None:
    made = await make(api)
    for schedule_id in (made["id"], "x", "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e"):
        address = f"{ADDRESS}/{schedule_id}"
        for answer in (
            await other.get(address),
            await other("PUT", address, json=PLAN),
            await other("DELETE", address),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await other.get(ADDRESS)).json()["items"] == []
    assert (await api.get(f"{ADDRESS}/{made['id']}")).json() == made


async def test_the_same_key_makes_one(api: Api) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await api.post(ADDRESS, json=PLAN, headers=headers)
    again = await api.post(ADDRESS, json=PLAN, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    other = await api.post(ADDRESS, json=PLAN | {"name": "other"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len((await api.get(ADDRESS)).json()["items"]) == 1


async def test_bodies_are_read_as_everywhere(api: Api) -> None:
    assert (await api.post(ADDRESS, content=b"{")).status_code == 415
    headers = {"content-type": "application/json"}
    broken = await api.post(ADDRESS, content=b"{", headers=headers)
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed_json")
    assert (await api.get(f"{ADDRESS}?name=x")).status_code == 422
    assert (await api.client.get(ADDRESS)).status_code == 401


async def test_a_job_that_is_refused_leaves_its_reason(api: Api) -> None:
    sent = await api.post("/api/v1/files", files={"file": ("a.png", encode(disc(), "PNG"))})
    job = {"model": "picture-v1", "inputs": {"image": sent.json()["id"]}}
    made = await make(api, cron=None, every_seconds=1, job=job)
    gone = await api("DELETE", f"/api/v1/files/{sent.json()['id']}")
    while gone.status_code == 409:  # a job that came meanwhile still reads it
        await asyncio.sleep(0.05)
        gone = await api("DELETE", f"/api/v1/files/{sent.json()['id']}")
    address = f"{ADDRESS}/{made['id']}"
    async with asyncio.timeout(15):
        while (now := (await api.get(address)).json())["last_error"] is None:
            await asyncio.sleep(0.05)
    assert sent.json()["id"] in now["last_error"]
    assert now["enabled"] is True
    assert now["next_at"] > made["next_at"]
    await api("DELETE", address)
