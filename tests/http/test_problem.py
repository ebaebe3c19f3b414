"""Problems on the wire, and the edge around every request."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.http.conftest import served
from usina.faces.http.middleware import Edge, HeadAsGet
from usina.http_kit.problem import problem_response
from usina.kernel.errors import (
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    Problem,
    StorageFull,
    TooLarge,
    Unauthorized,
)

SCOPE: dict[str, Any] = {"type": "http", "path": "/api/v1/jobs/é", "request_id": "r-1"}


def _document(problem: Problem) -> tuple[dict[str, Any], Response]:
    response = problem_response(problem, SCOPE)
    return httpx2.Response(200, content=bytes(response.body)).json(), response


def test_a_problem_has_every_member() -> None:
    document, response = _document(NotFound())
    assert document == {
        "type": "urn:usina:problem:not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing at this address.",
        "instance": "/api/v1/jobs/%C3%A9",
        "code": "not_found",
        "request_id": "r-1",
    }
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("problem", "status", "code"),
    [
        (Conflict("x", code="job_not_terminal"), 409, "job_not_terminal"),
        (TooLarge("x"), 413, "too_large"),
        (Invalid.at("/a", "b", code="unknown_model"), 422, "unknown_model"),
        (StorageFull(), 503, "storage_full"),
        (Problem("x"), 500, "internal"),
    ],
)
def test_status_and_code(problem: Problem, status: int, code: str) -> None:
    document, response = _document(problem)
    assert (document["status"], document["code"]) == (status, code)
    assert response.status_code == status


def test_headers_that_belong_to_a_refusal() -> None:
    assert _document(StorageFull())[1].headers["retry-after"] == "30"
    assert _document(Unauthorized("x"))[1].headers["www-authenticate"].startswith("Bearer")


def test_a_flood_of_errors_is_cut() -> None:
    errors = [FieldError(f"/{n}", "x") for n in range(5000)]
    assert len(_document(Invalid("x", errors=errors))[0]["errors"]) == 100


async def _broken(_request: Request) -> Response:
    raise RuntimeError("secret /host/path SELECT * FROM jobs")


async def _breaks_late(_request: Request) -> Response:
    async def parts() -> AsyncGenerator[bytes]:
        yield b"one"
        raise RuntimeError("late")

    return StreamingResponse(parts())


async def _text(request: Request) -> Response:
    return PlainTextResponse(f"{request.method} {request.url.path}")


async def _endless(_request: Request) -> Response:
    async def parts() -> AsyncGenerator[bytes]:
        while True:
            yield b"more"

    return StreamingResponse(parts(), headers={"etag": '"e"'})


def _app() -> Starlette:
    routes = [
        Route("/", _text),
        Route("/a/b", _text),
        Route("/broken", _broken),
        Route("/late", _breaks_late),
        Route("/endless", _endless),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Edge), Middleware(HeadAsGet)])


@pytest.fixture
def client() -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(_app(), raise_app_exceptions=True)
    return httpx2.AsyncClient(transport=transport, base_url="http://test")


@pytest.mark.parametrize("path", ["/", "/a/b", "/a/b/"])
async def test_a_trailing_slash_changes_nothing(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.text == f"GET {path.rstrip('/') or '/'}"


@pytest.mark.parametrize("sent", ["abc", "A-1_b.c:d/e+f=@", "x" * 128])
async def test_a_sane_request_id_is_echoed(client: httpx2.AsyncClient, sent: str) -> None:
    answer = await client.get("/", headers={"x-request-id": sent})
    assert answer.headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "<script>", "é".encode()])
async def test_another_request_id_is_replaced(
    client: httpx2.AsyncClient, sent: str | bytes
) -> None:
    raw = sent if isinstance(sent, bytes) else sent.encode()
    made = (await client.get("/", headers=[(b"x-request-id", raw)])).headers["x-request-id"]
    assert len(made) == 36


async def test_the_unexpected_is_a_plain_500(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/broken", headers={"x-request-id": "mine"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["code"], document["request_id"]) == ("internal", "mine")
    for secret in ("secret", "/host", "SELECT", "Traceback", "RuntimeError"):
        assert secret not in answer.text


async def test_head_is_get_without_content(client: httpx2.AsyncClient) -> None:
    answer = await client.head("/a/b")
    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len("GET /a/b"))
    assert answer.content == b""


async def test_head_ends_what_would_not(client: httpx2.AsyncClient) -> None:
    answer = await client.head("/endless")
    assert (answer.status_code, answer.headers["etag"], answer.content) == (200, '"e"', b"")


async def test_what_breaks_half_way_is_not_completed() -> None:
    async with served(_app()) as over_loopback:
        with pytest.raises(httpx2.RemoteProtocolError):
            await over_loopback.get("/late")
        assert (await over_loopback.get("/")).status_code == 200


async def test_head_of_something_broken(client: httpx2.AsyncClient) -> None:
    assert (await client.head("/broken")).status_code == 500


async def test_nothing_is_sniffed(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/")).headers["x-content-type-options"] == "nosniff"
