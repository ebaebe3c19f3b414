"""Idempotency-Key over HTTP: asking twice does once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.http.conftest import Api, served, settings_of
from usina.app import embedded
from usina.faces.http.app import create_app
from usina.kernel.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

JOB = {"model": "echo-v1", "labels": {"k": "v"}}


async def _ask(api: Api, key: str, body: Any = JOB, path: str = "/api/v1/jobs") -> Any:
    return await api.post(path, json=body, headers={"idempotency-key": key})


async def _count(api: Api) -> int:
    return len((await api.get("/api/v1/jobs?limit=200")).json()["items"])


async def test_the_same_again(api: Api) -> None:
    key = new_id()
    first = await _ask(api, key)
    await api.ended(first.json()["id"])
    again = await _ask(api, key)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == "application/json"
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    slash = await _ask(api, key, path="/api/v1/jobs/")
    assert slash.content == first.content
    assert await _count(api) == 1


async def test_without_a_key_every_submit_is_new(api: Api) -> None:
    assert (await api.submit())["id"] != (await api.submit())["id"]


async def test_another_body(api: Api) -> None:
    await _ask(api, "k")
    answer = await _ask(api, "k", {"model": "echo-v1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


async def test_keys_are_apart(api: Api, other: Api) -> None:
    ids = {
        (await _ask(api, "k")).json()["id"],
        (await _ask(other, "k")).json()["id"],
        (await _ask(api, "K")).json()["id"],
        (await _ask(api, "k", {"jobs": [JOB]}, "/api/v1/jobs/batch")).json()["items"][0]["id"],
    }
    assert len(ids) == 4


async def test_a_refusal_is_not_kept(api: Api) -> None:
    assert (await _ask(api, "k", {"model": "nothing"})).status_code == 422
    assert (await _ask(api, "k")).status_code == 202


async def test_fifty_at_once_make_one_job(api: Api) -> None:
    answers = await asyncio.gather(*(_ask(api, "k") for _ in range(50)))
    accepted = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 409]
    assert accepted
    assert len(accepted) + len(refused) == 50
    assert {answer.json()["code"] for answer in refused} <= {"idempotency_in_progress"}
    assert all(answer.headers["retry-after"] for answer in refused)
    assert len({answer.content for answer in accepted}) == 1
    assert await _count(api) == 1


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "é"])
async def test_keys_that_are_none(api: Api, key: str) -> None:
    headers = {"idempotency-key": key.encode()}
    answer = await api.post("/api/v1/jobs", json=JOB, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert await _count(api) == 0


async def test_a_batch_again(api: Api) -> None:
    batch = {"jobs": [JOB] * 3}
    first = await _ask(api, "k", batch, "/api/v1/jobs/batch")
    again = await _ask(api, "k", batch, "/api/v1/jobs/batch")
    assert again.content == first.content
    assert await _count(api) == 3


async def test_after_a_restart(tmp_path: Path) -> None:
    contents = set[bytes]()
    for _ in range(2):
        async with (
            embedded(settings_of(tmp_path)) as running,
            served(create_app(running.platform)) as client,
        ):
            headers = {"x-api-key": running.credentials.api_key, "idempotency-key": "k"}
            answer = await client.post("/api/v1/jobs", json=JOB, headers=headers)
            contents.add(answer.content)
            assert answer.status_code == 202
            listed = await client.get("/api/v1/jobs", headers=headers)
            assert len(listed.json()["items"]) == 1
    assert len(contents) == 1
