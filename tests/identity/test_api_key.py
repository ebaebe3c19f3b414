"""API keys over the routes: scopes, expiry, last use, revoking in every process."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.identity.conftest import Person, Running, register
from usina.kernel.clock import rfc3339
from usina.kernel.tenancy.permission import SCOPES
from usina.kernel.tenancy.table import api_keys

pytestmark = pytest.mark.asyncio(loop_scope="session")
KEYS = "/api/v1/api-keys"


def by(key: dict[str, Any]) -> dict[str, str]:
    return {"x-api-key": key["secret"]}


async def test_a_secret_is_shown_once_and_kept_as_its_hash(running: Running, owner: Person) -> None:
    made = await owner.post("/api-keys", {"name": "nightly", "scopes": ["jobs:write"]})
    assert made["secret"].startswith(made["prefix"])
    assert made["created_by"] == owner.email
    [shown] = (await owner.get("/api-keys"))["items"]
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    rows = await running.platform.database.read(
        lambda tx: str(tx.execute(sa.select(api_keys)).all())
    )
    assert made["prefix"] in rows
    assert made["secret"] not in rows
    entries = await owner.get("/audit?action=api_key.created")
    assert made["secret"] not in str(entries)
    assert entries["items"][0]["subject"] == {"type": "api_key", "id": made["id"]}


async def test_a_replay_shows_no_secret(owner: Person) -> None:
    key = {"idempotency-key": "a-new-key-of-mine"}
    first = await owner("POST", "/api-keys", json={"name": "once"}, headers=key)
    again = await owner("POST", "/api-keys", json={"name": "once"}, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json() == {k: v for k, v in first.json().items() if k != "secret"}
    assert len((await owner.get("/api-keys"))["items"]) == 1


async def test_a_scope_lets_through_what_it_names(owner: Person) -> None:
    key = await owner.post("/api-keys", {"name": "submits", "scopes": ["jobs:write"]})
    for method, path, status in (
        ("POST", "/jobs", 202),
        ("GET", "/jobs", 200),
        ("GET", "/schedules", 403),
        ("POST", "/files/uploads", 403),
        ("GET", "/models", 403),
        ("GET", "/api-keys", 403),
        ("GET", "/audit", 403),
        ("GET", "/auth/me", 200),
    ):
        answer = await owner.client.request(
            method, f"/api/v1{path}", headers=by(key), json={"model": "echo-v1"}
        )
        assert answer.status_code == status, path
        if status == 403:
            assert answer.json()["code"] == "forbidden"
            assert "jobs:write" in answer.json()["detail"]


async def test_nobody_gives_a_key_more_than_he_has(owner: Person) -> None:
    narrow = await owner.post(
        "/api-keys", {"name": "narrow", "scopes": ["keys:write", "jobs:read"]}
    )
    for scopes, status in (
        (["jobs:read"], 201),
        (["keys:write"], 201),
        (["jobs:write"], 403),
        (["all"], 403),
        (["jobs:read", "organization:admin"], 403),
    ):
        answer = await owner.client.post(
            KEYS, headers=by(narrow), json={"name": "wider", "scopes": scopes}
        )
        assert answer.status_code == status, scopes
        if status == 403:
            assert answer.json()["code"] == "scope_too_wide"
    by_default = await owner.client.post(KEYS, headers=by(narrow), json={"name": "wider"})
    assert by_default.status_code == 403
    operating = await owner("POST", "/api-keys", json={"name": "x", "scopes": ["platform:operate"]})
    assert operating.status_code == 403, "an owner, but not of the first organization"


async def test_a_key_can_not_be_changed_into_a_wider_one(owner: Person) -> None:
    key = await owner.post("/api-keys", {"name": "narrow", "scopes": ["keys:write"]})
    for method in ("PATCH", "PUT"):
        answer = await owner.client.request(
            method, f"{KEYS}/{key['id']}", headers=by(key), json={"scopes": ["all"]}
        )
        assert answer.status_code == 405


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"name": "a\0b"}, "/name"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["jobs:write", "jobs:delete"]}, "/scopes/1"),
        ({"name": "x", "scopes": "all"}, "/scopes"),
        ({"name": "x", "scopes": [1]}, "/scopes/0"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "x", "expires_at": "tomorrow"}, "/expires_at"),
        ({"name": "x", "expires_at": 1893456000}, "/expires_at"),
        ({"name": "x", "role": "owner"}, "/role"),
        ({"name": "x", "organization_id": "y"}, "/organization_id"),
    ],
)
async def test_what_is_no_key_is_refused(owner: Person, body: dict[str, Any], pointer: str) -> None:
    answer = await owner("POST", "/api-keys", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_every_scope_can_be_given_by_who_has_it(running: Running) -> None:
    headers = {"x-api-key": running.first_key}
    wanted = {"name": "every one", "scopes": sorted(SCOPES)}
    answer = await running.anyone.post(KEYS, headers=headers, json=wanted)
    assert answer.status_code == 201, answer.text
    assert answer.json()["created_by"] is None


async def test_an_expired_key_is_refused(owner: Person) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    key = await owner.post("/api-keys", {"name": "soon over", "expires_at": rfc3339(soon)})
    statuses = list[int]()
    while (not statuses or statuses[-1] == 200) and len(statuses) < 200:
        answer = await owner.client.get("/api/v1/auth/me", headers=by(key))
        statuses.append(answer.status_code)
        await asyncio.sleep(0.05)
    assert statuses[0] == 200
    assert statuses[-1] == 401
    assert datetime.now(UTC) - soon < timedelta(seconds=3)


async def test_a_revoked_key_is_refused_at_once(owner: Person) -> None:
    key = await owner.post("/api-keys", {"name": "leaked"})
    assert (await owner.client.get("/api/v1/auth/me", headers=by(key))).status_code == 200
    assert (await owner("DELETE", f"/api-keys/{key['id']}")).status_code == 204
    assert (await owner.client.get("/api/v1/auth/me", headers=by(key))).status_code == 401
    assert (await owner("DELETE", f"/api-keys/{key['id']}")).status_code == 404
    assert (await owner.get("/api-keys"))["items"] == []
    [entry] = (await owner.get("/audit?action=api_key.revoked"))["items"]
    assert entry["before"] == {"name": "leaked", "prefix": key["prefix"]}
    assert entry["actor"]["name"] == owner.email


async def test_a_key_of_another_organization_is_none(running: Running, owner: Person) -> None:
    key = await owner.post("/api-keys", {"name": "mine"})
    stranger = await register(running.anyone)
    for key_id in (key["id"], "x", key["id"].upper()):
        assert (await stranger("DELETE", f"/api-keys/{key_id}")).status_code == 404
    assert (await stranger.get("/api-keys"))["items"] == []
    assert (await owner.client.get("/api/v1/auth/me", headers=by(key))).status_code == 200


async def test_the_last_use_is_told(owner: Person) -> None:
    key = await owner.post("/api-keys", {"name": "used"})
    assert key["last_used_at"] is None
    await owner.client.get("/api/v1/auth/me", headers=by(key))
    for _ in range(100):
        [shown] = (await owner.get("/api-keys"))["items"]
        if shown["last_used_at"] is not None:
            break
        await asyncio.sleep(0.05)
    used = datetime.fromisoformat(shown["last_used_at"])
    assert abs(datetime.now(UTC) - used) < timedelta(seconds=60)


async def test_me_tells_of_the_key_that_calls(owner: Person) -> None:
    key = await owner.post("/api-keys", {"name": "who am I", "scopes": ["jobs:read"]})
    who = (await owner.client.get("/api/v1/auth/me", headers=by(key))).json()
    assert who["api_key"] == {
        name: key[name] for name in ("id", "name", "prefix", "scopes", "expires_at")
    }
    assert who["email"] == owner.email
    assert who["permissions"] == ["jobs:read"]


async def test_lists_of_keys_go_on(owner: Person) -> None:
    made = [await owner.post("/api-keys", {"name": f"key {n}"}) for n in range(5)]
    seen = list[str]()
    path = "/api-keys?limit=2"
    while True:
        page = await owner.get(path)
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        path = f"/api-keys?limit=2&cursor={page['next_cursor']}"
    assert seen == [key["id"] for key in reversed(made)]
