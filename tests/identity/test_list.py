"""Every list, found in the OpenAPI document: what a cursor comes to that somebody made up."""

import base64
from collections.abc import Mapping
from typing import Any, Final

import httpx2
import pytest

from tests.identity.conftest import Person, Running
from usina.faces.http.app import create_api
from usina.http_kit.paging import encode_cursor
from usina.kernel.events import cursor
from usina.kernel.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOGS: Final = {"/api/v1/events", "/api/v1/jobs/{job_id}/events"}
"""Lists whose cursors are the ids of events."""

BY_NAME: Final = {"/api/v1/models", "/api/v1/queues"}
"""Lists where any text is a place, since a name is."""

NONSENSE: Final = (
    *("", "x", "-1", "9" * 18, "9" * 400, "a\0b", "é", "' OR 1=1 --"),
    *("ffffffff-ffff-ffff-ffff-fffffffffffg", "{00000000-0000-0000-0000-000000000000}"),
)


def lists(running: Running) -> list[str]:
    """The paths of all that takes a cursor."""
    paths: dict[str, Any] = create_api(running.platform).openapi()["paths"]
    return [
        path
        for path, ways in paths.items()
        if any(one["name"] == "cursor" for one in ways.get("get", {}).get("parameters", ()))
    ]


async def things(owner: Person) -> Mapping[str, str]:
    """One of each thing that has a list of its own, by the name in the path."""
    made = await owner.post("/jobs", {"model": "echo-v1"}, 202)
    bearer = {"authorization": f"Bearer {owner.tokens['access_token']}"}
    await owner.client.put("/customers/somebody", json={"retentionDays": 1}, headers=bearer)
    return {"job_id": made["id"], "customer_id": "somebody"}


async def test_a_made_up_cursor_is_a_refusal_or_a_page(running: Running, owner: Person) -> None:
    known, epoch = await things(owner), await running.platform.events.epoch()
    paths = lists(running)
    assert len(paths) > 15
    for path in paths:
        kind = path.rpartition("/")[2]
        assert set(_names(path)) <= known.keys(), f"{path}: make one of what it is a list of"
        address = path.format_map(known)
        foreign = encode_cursor("jobs" if kind != "jobs" else "webhooks", new_id())
        forged = [encode_cursor(kind, text) for text in NONSENSE]
        forged += [base64.urlsafe_b64encode(kind.encode() + b":\xff\xfe").decode(), "!", "\0"]
        if path in LOGS:
            forged += [cursor.encode(epoch, number) for number in (10**17, 10**18, 10**30, -1)]
            forged += [_encoded(f"{epoch}:{text}") for text in NONSENSE]
            expected = {410}
        else:
            answer = await _ask(owner, address, encode_cursor(kind, new_id()))
            assert answer.status_code == 200, f"{path}: its cursors are not named {kind!r}"
            expected = {200, 422} if path in BY_NAME else {422}
        for text in (foreign, *forged):
            answer = await _ask(owner, address, text)
            said = path, text, answer.text
            nul = answer.status_code == 422 and "\0" in text
            assert answer.status_code in expected or nul, said
            assert answer.json().keys() & {"code", "items"}, said


async def test_another_organizations_cursor_shows_nothing_of_it(
    owner: Person, running: Running
) -> None:
    """It is a moment like any other: what comes after it is one's own."""
    theirs = await running.new_organization()
    for _ in range(2):
        await theirs.submit()
    await owner.post("/jobs", {"model": "echo-v1"}, 202)
    page = (await theirs.get("/api/v1/jobs?limit=1")).json()
    answer = await owner.get(f"/jobs?cursor={page['next_cursor']}")
    assert answer == {"items": [], "next_cursor": None}


async def _ask(asking: Person, address: str, text: str) -> httpx2.Response:
    bearer = {"authorization": f"Bearer {asking.tokens['access_token']}"}
    return await asking.client.get(address, params={"cursor": text}, headers=bearer)


def _names(path: str) -> list[str]:
    return [part.strip("{}") for part in path.split("/") if part.startswith("{")]


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
