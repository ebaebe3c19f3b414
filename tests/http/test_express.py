"""The two routes that go by express answer as the declared routes would."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.http.conftest import Api, Running, served
from usina.faces.http.app import create_api

pytestmark = pytest.mark.asyncio(loop_scope="session")
JOBS = "/api/v1/jobs"
UNKNOWN = "01981c3e-5a70-7c41-9d3e-0f4b6a1c2d3e"
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "no key": ("POST", JOBS, {"headers": {"x-api-key": ""}, "json": {"model": "echo-v1"}}),
    "bad key": ("GET", f"{JOBS}/{UNKNOWN}", {"headers": {"x-api-key": "nobody's"}}),
    "no JSON": ("POST", JOBS, {"content": b"{", "headers": {"content-type": "application/json"}}),
    "no type": ("POST", JOBS, {"content": b"{}"}),
    "unknown model": ("POST", JOBS, {"json": {"model": "nothing"}}),
    "unknown field": ("POST", f"{JOBS}/", {"json": {"model": "echo-v1", "modl": 1}}),
    "long key": ("POST", JOBS, {"json": {}, "headers": {"idempotency-key": "k" * 256}}),
    "bad form": ("POST", JOBS, {"files": {"x": ("", b"")}}),
    "unknown job": ("GET", f"{JOBS}/{UNKNOWN}", {}),
    "unknown job, slash": ("GET", f"{JOBS}/{UNKNOWN}/", {}),
    "no id": ("GET", f"{JOBS}/{'x' * 36}", {}),
    "escaped": ("GET", f"{JOBS}/{'x' * 35}%2F", {}),
    "wait too long": ("GET", f"{JOBS}/{UNKNOWN}?wait_seconds=61", {}),
    "unknown parameter": ("GET", f"{JOBS}/{UNKNOWN}?wait=1", {}),
    "head": ("HEAD", f"{JOBS}/{UNKNOWN}", {}),
    "other method": ("PUT", f"{JOBS}/{UNKNOWN}", {}),
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plain(running: Running) -> AsyncGenerator[httpx2.AsyncClient]:
    """The same platform, by its declared routes alone."""
    async with served(create_api(running.platform)) as client:
        yield client


def seen(answer: httpx2.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    other = {"date", "x-request-id", "ratelimit"}
    headers = {k: v for k, v in answer.headers.items() if k not in other}
    assert "ratelimit" in answer.headers or answer.status_code in {401, 405}
    body = answer.json() if answer.content else {}
    assert answer.headers["x-request-id"]
    assert body.pop("request_id", answer.headers["x-request-id"]) == answer.headers["x-request-id"]
    return answer.status_code, headers, body


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_refusal_is_the_same_to_the_letter(
    api: Api, plain: httpx2.AsyncClient, name: str
) -> None:
    method, path, more = REQUESTS[name]
    more = {**more, "headers": {"x-api-key": api.key, **more.get("headers", {})}}
    express = seen(await api.client.request(method, path, **more))
    assert express == seen(await plain.request(method, path, **more))
    assert express[0] >= 400


async def test_a_job_is_the_same_to_the_letter(api: Api, plain: httpx2.AsyncClient) -> None:
    job = await api.finished(params={"log_lines": 1}, labels={"k": "v"})
    path, key = f"{JOBS}/{job['id']}", {"x-api-key": api.key}
    for asked in (path, f"{path}/", f"{path}?wait_seconds=5"):
        express, declared = await api.get(asked), await plain.get(asked, headers=key)
        assert seen(express) == seen(declared)
    submit = {"model": "echo-v1", "params": {"fail": "invalid_input"}}
    taken = seen(await plain.post(JOBS, json=submit, headers=key))
    express = seen(await api.post(JOBS, json=submit))
    assert taken[0] == express[0] == 202
    assert {*taken[1]} == {*express[1]}
    assert {*taken[2]} == {*express[2]}


async def test_another_organization_finds_nothing_there(api: Api, other: Api) -> None:
    job = await api.submit()
    theirs, none = await other.get(f"{JOBS}/{job['id']}"), await other.get(f"{JOBS}/{UNKNOWN}")
    (status, _, body), (_, _, unknown) = seen(theirs), seen(none)
    del body["instance"], unknown["instance"]
    assert status == 404
    assert body == unknown
