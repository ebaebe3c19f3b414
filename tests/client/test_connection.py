"""Answers, refusals, lost connections."""

import socket
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

import usina_client
from tests.client.conftest import closed, done
from tests.client.fake import JOB_ID, FakePlatform, Seen, answer, cut, file, job, problem
from usina_client import (
    ApiError,
    ConflictError,
    ProtocolError,
    RateLimitedError,
    TransportError,
    TransportTimeoutError,
    UnavailableError,
)

JOB = f"GET /api/v1/jobs/{JOB_ID}"


async def test_the_key_and_the_name_of_the_client_go_with_every_call(
    client: Any, platform: FakePlatform
) -> None:
    platform.on("GET /health", answer({"status": "ok", "version": "1.2.3"}))

    health = await done(client.health())

    assert (health.status, health.version) == ("ok", "1.2.3")
    assert platform.seen[0].headers["x-api-key"] == "key-1"
    assert platform.seen[0].headers["user-agent"].startswith("usina-client/")


async def test_url_and_key_come_from_the_environment(
    kind: Any, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USINA_URL", platform.url + "/")
    monkeypatch.setenv("USINA_API_KEY", "key-2")
    platform.on("GET /health", answer({"status": "ok", "version": "1"}))
    client = kind()

    await done(client.health())
    await closed(client)

    assert client.url == platform.url
    assert platform.seen[0].headers["x-api-key"] == "key-2"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://h", "http://", "/api"])
def test_an_address_that_is_none_is_refused_at_once(kind: Any, url: str) -> None:
    with pytest.raises(ValueError, match="looks like http://host:8000"):
        kind(url)


async def test_this_machine_is_never_asked_through_a_proxy(
    kind: Any, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    platform.on("GET /health", answer({"status": "ok", "version": "1"}))

    client = kind(platform.url)

    health = await done(client.health())
    await closed(client)

    assert health.status == "ok"


async def test_not_being_ready_is_an_answer(client: Any, platform: FakePlatform) -> None:
    checks = {"database": "ok", "storage": "the folder is read-only"}
    platform.on("GET /ready", answer({"status": "unavailable", "checks": checks}, 503))

    ready = await done(client.ready())

    assert not ready.ready
    assert ready.checks == checks


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, usina_client.BadRequestError),
        (401, usina_client.AuthenticationError),
        (403, usina_client.PermissionDeniedError),
        (404, usina_client.NotFoundError),
        (409, usina_client.ConflictError),
        (410, usina_client.GoneError),
        (413, usina_client.TooLargeError),
        (415, usina_client.UnsupportedMediaError),
        (418, usina_client.ApiError),
        (422, usina_client.InvalidRequestError),
        (429, usina_client.RateLimitedError),
        (500, usina_client.ServerError),
        (503, usina_client.UnavailableError),
    ],
)
async def test_a_problem_becomes_the_error_of_its_status(
    client: Any, platform: FakePlatform, status: int, error: type[ApiError]
) -> None:
    errors = [{"pointer": "/params/size", "message": "must be at least 1"}]
    platform.on(JOB, problem(status, "some_code", "Wrong.", errors=errors, retry_after=1))

    with pytest.raises(error) as caught:
        await done(client.jobs.get(JOB_ID))

    assert type(caught.value) is error
    assert (caught.value.status, caught.value.code) == (status, "some_code")
    assert caught.value.request_id == "req-1"
    assert caught.value.retry_after_seconds == 1
    assert [(e.pointer, e.message) for e in caught.value.errors] == [
        ("/params/size", "must be at least 1")
    ]
    assert str(caught.value) == f"Wrong. ({status} some_code)"


async def test_a_refusal_that_is_no_problem_document_is_typed_all_the_same(
    client: Any, platform: FakePlatform
) -> None:
    platform.on(JOB, answer("<html>Bad gateway</html>", 502))

    with pytest.raises(usina_client.ServerError) as caught:
        await done(client.jobs.get(JOB_ID))

    assert (caught.value.code, caught.value.request_id) == ("unknown", None)


@pytest.mark.parametrize("body", ["<html>", {"hello": "world"}, job() | {"status": "ASLEEP"}])
async def test_an_answer_that_is_not_this_api_says_where(
    client: Any, platform: FakePlatform, body: Any
) -> None:
    platform.on(JOB, answer(body))

    with pytest.raises(ProtocolError, match="not a Job of Usina's API"):
        await done(client.jobs.get(JOB_ID))


async def test_keys_of_a_newer_platform_are_kept(client: Any, platform: FakePlatform) -> None:
    platform.on(JOB, answer(job(carbon_grams=1.5)))

    got = await done(client.jobs.get(JOB_ID))

    assert got.model_dump(mode="json")["carbon_grams"] == 1.5


@pytest.mark.parametrize("identity", ["", ".", ".."])
async def test_an_id_cannot_name_another_route(client: Any, identity: str) -> None:
    with pytest.raises(ValueError, match="names nothing in jobs"):
        await done(client.jobs.get(identity))


async def test_an_id_with_slashes_stays_one_segment(client: Any, platform: FakePlatform) -> None:
    with pytest.raises(usina_client.NotFoundError):
        await done(client.jobs.get("../files/f1?x=1"))

    assert platform.seen[0].raw_path == b"/api/v1/jobs/..%2Ffiles%2Ff1%3Fx%3D1"


async def test_a_platform_that_is_not_there(kind: Any, closed_port: int) -> None:
    with pytest.raises(TransportError, match="cannot be reached") as caught:
        await done(kind(f"http://127.0.0.1:{closed_port}").health())

    assert not caught.value.request_sent


async def test_a_platform_that_stays_silent(kind: Any, silent_port: int) -> None:
    with pytest.raises(TransportTimeoutError, match="silent"):
        await done(kind(f"http://127.0.0.1:{silent_port}", timeout=0.05).health())


async def test_a_question_is_repeated_when_the_connection_breaks(
    client: Any, platform: FakePlatform
) -> None:
    platform.on(JOB, cut(b"{" + b" " * 99, 10), cut(b"{" + b" " * 99, 10), answer(job()))

    got = await done(client.jobs.get(JOB_ID))

    assert got.id == JOB_ID
    assert len(platform.requests(JOB)) == 3


async def test_it_is_given_up_after_a_few_times(client: Any, platform: FakePlatform) -> None:
    platform.on(JOB, cut(b"{" + b" " * 99, 10))

    with pytest.raises(TransportError, match="broke"):
        await done(client.jobs.get(JOB_ID))

    assert len(platform.requests(JOB)) == 3


async def test_a_repeated_submit_keeps_its_key_and_waits_for_the_first_one(
    client: Any, platform: FakePlatform
) -> None:
    platform.on(
        "POST /api/v1/jobs",
        cut(b"{" + b" " * 99, 10),
        problem(409, "idempotency_in_progress"),
        answer(job(), 202),
    )

    await done(client.jobs.submit("echo-v1", {"seconds": 1}))

    first, second, third = platform.requests("POST /api/v1/jobs")
    keys = {seen.headers["idempotency-key"] for seen in (first, second, third)}
    assert len(keys) == 1
    assert first.body == second.body == third.body


async def test_two_submits_have_two_keys(client: Any, platform: FakePlatform) -> None:
    platform.on("POST /api/v1/jobs", answer(job(), 202))

    await done(client.jobs.submit("echo-v1"))
    await done(client.jobs.submit("echo-v1"))
    await done(client.jobs.submit("echo-v1", idempotency_key="mine"))

    keys = [s.headers["idempotency-key"] for s in platform.requests("POST /api/v1/jobs")]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


async def test_somebody_elses_key_in_progress_is_not_waited_for(
    client: Any, platform: FakePlatform
) -> None:
    platform.on("POST /api/v1/jobs", problem(409, "idempotency_in_progress"))

    with pytest.raises(ConflictError):
        await done(client.jobs.submit("echo-v1", idempotency_key="theirs"))

    assert len(platform.requests("POST /api/v1/jobs")) == 1


async def test_what_is_not_safe_to_repeat_is_sent_once(client: Any, platform: FakePlatform) -> None:
    platform.on(f"POST /api/v1/jobs/{JOB_ID}/retry", cut(b"{" + b" " * 99, 10))

    with pytest.raises(TransportError):
        await done(client.jobs.retry(JOB_ID))

    assert len(platform.seen) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_question_is_asked_again_when_the_platform_says(
    client: Any, platform: FakePlatform, status: int
) -> None:
    platform.on(JOB, problem(status, "busy", retry_after=0.3), answer(job()))
    began = monotonic()

    got = await done(client.jobs.get(JOB_ID))

    assert got.id == JOB_ID
    assert monotonic() - began > 0.3


async def test_who_is_to_come_back_much_later_is_told_so(
    client: Any, platform: FakePlatform
) -> None:
    platform.on(JOB, problem(429, "rate_limited", retry_after=3600))

    with pytest.raises(RateLimitedError) as caught:
        await done(client.jobs.get(JOB_ID))

    assert caught.value.retry_after_seconds == 3600
    assert len(platform.seen) == 1


async def test_a_client_that_is_not_to_repeat_does_not(kind: Any, platform: FakePlatform) -> None:
    client = kind(platform.url, "key-1", retries=0)
    platform.on(JOB, problem(503, "unavailable", retry_after=0))

    with pytest.raises(UnavailableError):
        await done(client.jobs.get(JOB_ID))

    await closed(client)
    assert len(platform.seen) == 1


async def test_a_full_platform_may_be_asked_again_for_anything(
    client: Any, platform: FakePlatform
) -> None:
    """It has done nothing yet; one that is away may have."""
    route = f"POST /api/v1/jobs/{JOB_ID}/retry"
    platform.on(route, problem(429, "rate_limited", retry_after=0), answer(job(), 202))
    assert (await done(client.jobs.retry(JOB_ID))).id == JOB_ID
    platform.on(route, problem(503, "unavailable", retry_after=0), answer(job(), 202))

    with pytest.raises(UnavailableError):
        await done(client.jobs.retry(JOB_ID))


async def test_a_refused_upload_says_why_though_the_body_was_not_read(
    client: Any, big_upload_refused: str
) -> None:
    kind = type(client)
    with pytest.raises(usina_client.TooLargeError):
        await done(kind(big_upload_refused).files.upload(bytes(32 * 1024 * 1024), name="big"))


async def test_the_catalogue(client: Any, platform: FakePlatform) -> None:
    entry = {
        "name": "echo-v1",
        "version": "1.0.0",
        "task": "diagnostic",
        "description": "d",
        "license": "MIT",
        "input_schema": {},
        "params_schema": {"type": "object"},
        "default_params": {"seconds": 0},
        "resources": {"gpu": 0, "memory_bytes": 1, "slots": 1},
        "timeout_seconds": 600,
        "gates": [{"name": "closed", "limit": "= true", "message": "m"}],
        "available": False,
        "unavailable_reason": "not installed",
    }
    platform.on("GET /api/v1/models/echo-v1", answer(entry))

    model = await done(client.models.get("echo-v1"))

    assert (model.name, model.available) == ("echo-v1", False)
    assert model.resources.memory_bytes == 1
    said = model.model_dump(mode="json", exclude_unset=True)
    assert said == entry


async def test_a_handler_sees_what_was_sent(client: Any, platform: FakePlatform) -> None:
    kept: list[Seen] = []

    def keep(seen: Seen) -> Any:
        kept.append(seen)
        return answer(file(b"abc"))

    platform.on("GET /api/v1/files/f1", keep)

    assert (await done(client.files.get("f1"))).name == "chair.png"
    assert kept[0].headers["x-api-key"] == "key-1"


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


@pytest.fixture
def big_upload_refused() -> Iterator[str]:
    """A server that answers 413 after the first bytes and closes without reading the rest."""
    reply = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()

        def serve() -> None:
            connection, _ = sock.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1024 * 1024):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        thread.join()
