"""Nobody without a key, and nothing of another organization's."""

import asyncio
from collections.abc import Iterable

import pytest
from fastapi.routing import APIRoute

from tests.http.conftest import Api, Running
from usina.faces.http.app import create_api
from usina.kernel.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN = {"/", "/health", "/ready", "/metrics", "/docs", "/redoc", "/docs/oauth2-redirect"}
OPEN |= {f"/api/v1/auth/{name}" for name in ("register", "login", "refresh")}


def _routes(running: Running) -> Iterable[tuple[str, str]]:
    """Every described route that needs a key, with an id in each place for one."""
    for route in create_api(running.platform).routes:
        if not isinstance(route, APIRoute) or route.path in OPEN:
            continue
        path = route.path
        for name in route.param_convertors:
            path = path.replace(f"{{{name}}}", new_id())
        for method in route.methods:
            yield method, path


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": "usina_" + "0" * 64},
        {"x-api-key": "é"},
        {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."},
        {"authorization": "Basic KEY"},
    ],
    ids=["none", "empty", "unknown", "not ASCII", "no token", "as a password"],
)
async def test_no_route_without_a_key(running: Running, api: Api, headers: dict[str, str]) -> None:
    sent = {name: value.replace("KEY", api.key).encode() for name, value in headers.items()}
    routes = list(_routes(running))
    assert len(routes) > 12
    for method, path in routes:
        answer = await running.anyone.request(method, path, headers=sent)
        assert answer.status_code == 401, (method, path)
        assert answer.json()["code"] in {"unauthorized", "link_invalid"}
        assert answer.headers["www-authenticate"]


async def test_a_refused_body_is_not_waited_for(running: Running) -> None:
    url = running.anyone.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        b"POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: 1000000000\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()
    await writer.wait_closed()


async def test_one_body_for_every_404_of_an_id(api: Api, other: Api) -> None:
    theirs = (await other.submit())["id"]
    bodies = set[str]()
    for job_id in (theirs, new_id(), "x", "1", theirs.upper(), theirs + "0", "%00", "..%2f", "é"):
        for method, path in (
            ("GET", ""),
            ("GET", "?wait_seconds=1"),
            ("DELETE", ""),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("GET", "/events"),
            ("GET", "/logs"),
            ("GET", "/download"),
        ):
            answer = await api(method, f"/api/v1/jobs/{job_id}{path}")
            assert answer.status_code == 404, (method, job_id, path)
            document = answer.json()
            assert document.pop("instance").startswith("/api/v1/jobs/")
            assert document.pop("request_id") == answer.headers["x-request-id"]
            bodies.add(repr(document))
    assert len(bodies) == 1
    await other.ended(theirs)


async def test_lists_and_logs_are_apart(api: Api, other: Api) -> None:
    await other.finished()
    for path in ("/api/v1/jobs", "/api/v1/events"):
        assert (await api.get(path)).json() == {"items": [], "next_cursor": None}


async def test_an_input_of_another_organization_is_none(api: Api, other: Api) -> None:
    job = await other.finished(params={"artifact_bytes": 10})
    theirs = job["artifacts"][0]["id"]
    codes = set[tuple[str, str]]()
    for source in (theirs, new_id(), "x"):
        answer = await api.post(
            "/api/v1/jobs", json={"model": "picture-v1", "inputs": {"image": source}}
        )
        assert answer.status_code == 422
        codes.add((answer.json()["code"], answer.json()["errors"][0]["pointer"]))
    assert codes == {("input_not_found", "/inputs/image")}


@pytest.mark.parametrize("name", ["%00", "a%00b", "x" * 999])
async def test_what_can_be_no_address_is_not_found(api: Api, name: str) -> None:
    """Nor looked up as the route of a repeat."""
    key = {"idempotency-key": new_id()}
    complete = f"/api/v1/files/uploads/{name}/complete"
    for answer in (
        await api.get(f"/api/v1/files/{name}"),
        await api.post(complete),
        await api("POST", complete, headers=key),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
