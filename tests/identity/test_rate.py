"""Rates: per key and organization, in one process and in many; CORS; whose address counts."""

import asyncio
from collections.abc import AsyncGenerator

import httpx2
import pytest
import pytest_asyncio
from pydantic import ValidationError

from tests.http.conftest import Running, at_work, settings_of
from tests.identity.conftest import register
from tests.redis_server import redis_server
from usina.kernel.ids import new_id
from usina.kernel.limits.attempts import Attempts
from usina.kernel.limits.meter import Meter
from usina.kernel.limits.rate import Rate
from usina.kernel.redis import Counts
from usina.kernel.telemetry import RATE_FAILURES
from usina.settings import Settings

NOWHERE = "redis://127.0.0.1:1/0"
APP = "https://app.example.org"
ME = "/api/v1/auth/me"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def narrow(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    """A platform that lets few requests through, from one origin, behind a proxy."""
    given = settings_of(
        tmp_path_factory.mktemp("narrow"),
        rate_key=Rate(5, 86_400),
        rate_organization=Rate(8, 86_400),
        cors_origins=(APP,),
        trusted_proxies=("127.0.0.0/8",),
    )
    async with at_work(given) as made:
        yield made


def failures() -> float:
    return RATE_FAILURES._value.get()


def left(answer: httpx2.Response) -> dict[str, int]:
    """What remains, by the name of the rate."""
    parts = (part.split(";") for part in answer.headers["ratelimit"].split(", "))
    return {name.strip('"'): int(rest[0].removeprefix("r=")) for name, *rest in parts}


@pytest.mark.asyncio(loop_scope="session")
async def test_a_key_and_its_organization_are_held_to_their_rates(narrow: Running) -> None:
    api = await narrow.new_organization()
    answers = [await api.get(ME) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert [left(answer)["key"] for answer in answers] == [4, 3, 2, 1, 0, 0, 0]
    policy = '"key";q=5;w=86400, "organization";q=8;w=86400'
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {policy}
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limited"
    assert refused.headers["content-type"] == "application/problem+json"
    seconds = int(refused.headers["retry-after"])
    assert 1 <= seconds <= 86_400
    assert f"t={seconds}" in refused.headers["ratelimit"]
    head = await api("HEAD", ME)
    assert (head.status_code, left(head)["key"]) == (429, 0)
    other = await narrow.new_organization()
    assert (await other.get(ME)).status_code == 200


@pytest.mark.asyncio(loop_scope="session")
async def test_a_second_key_does_not_help_an_organization(narrow: Running) -> None:
    person = await register(narrow.anyone)
    key = await person.post("/api-keys", {"name": "one more"})
    for _ in range(4):
        await person.get("/auth/me")
    headers = {"x-api-key": key["secret"]}
    answers = [await narrow.anyone.get(ME, headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert left(answers[-1]) == {"key": 1, "organization": 0}
    assert "organization" in answers[-1].json()["detail"]


@pytest.mark.asyncio(loop_scope="session")
async def test_what_needs_no_key_is_not_counted(narrow: Running) -> None:
    for path in ("/health", "/ready", "/metrics"):
        answer = await narrow.anyone.get(path)
        assert "ratelimit" not in answer.headers


@pytest.mark.asyncio(loop_scope="session")
async def test_pages_of_the_origins_that_are_told_may_ask(narrow: Running) -> None:
    asked = {
        "origin": APP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, idempotency-key",
    }
    allowed = await narrow.anyone.options("/api/v1/jobs", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == APP
    stranger = asked | {"origin": "https://evil.example.org"}
    refused = await narrow.anyone.options("/api/v1/jobs", headers=stranger)
    assert "access-control-allow-origin" not in refused.headers
    api = await narrow.new_organization()
    for path in (ME, "/api/v1/jobs/x"):
        answer = await api("GET", path, headers={"origin": APP})
        assert answer.headers["access-control-allow-origin"] == APP
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.asyncio(loop_scope="session")
async def test_without_origins_no_page_may_ask(running: Running) -> None:
    answer = await running.anyone.get("/health", headers={"origin": APP})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.asyncio(loop_scope="session")
async def test_behind_a_trusted_proxy_the_address_is_the_callers(narrow: Running) -> None:
    person = await register(narrow.anyone)
    told = {"x-forwarded-for": "203.0.113.9, 127.0.0.1"}
    await person("POST", "/invitations", json={"role": "viewer"}, headers=told)
    [entry, *_] = (await person.get("/audit"))["items"]
    assert (entry["action"], entry["ip"]) == ("invitation.created", "203.0.113.9")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_header_of_nobody_that_is_trusted_is_not_believed(running: Running) -> None:
    person = await register(running.anyone)
    told = {"x-forwarded-for": "203.0.113.9"}
    await person("POST", "/invitations", json={"role": "viewer"}, headers=told)
    [entry, *_] = (await person.get("/audit"))["items"]
    assert entry["ip"] == "127.0.0.1"


async def test_a_window_ends() -> None:
    now = [1000.0]
    meter, rate = Meter(now=lambda: now[0]), Rate(2, 10)
    assert [meter.count("a", rate).remaining for _ in range(3)] == [1, 0, -1]
    now[0] = 1009.5
    reading = meter.count("a", rate)
    assert (reading.within, reading.reset_seconds) == (False, 1)
    now[0] = 1010.0
    assert meter.count("a", rate).remaining == 1
    assert meter.count("b", rate).remaining == 1


async def test_processes_count_together() -> None:
    shared = Counts(redis_server().address(0), f"test:{new_id()}")
    meters, rate = [Meter(shared), Meter(shared)], Rate(100, 3600)
    for meter in meters:
        for _ in range(30):
            meter.count("a key", rate)
    left = [100, 100]
    async with asyncio.timeout(20):
        while max(left) > 40:
            await asyncio.sleep(0.3)
            left = [meter.count("a key", rate).remaining for meter in meters]
    for meter in meters:
        await meter.stop()
    await shared.close()
    assert max(left) <= 40, "30 of its own and 30 of the other's"


async def test_without_redis_requests_pass_and_are_counted_as_such() -> None:
    before = failures()
    nowhere = Counts(NOWHERE, "test")
    meter, rate = Meter(nowhere), Rate(1000, 3600)
    assert all(meter.count("a key", rate).within for _ in range(20))
    async with asyncio.timeout(20):
        while failures() < before + 20:
            await asyncio.sleep(0.05)
    await meter.stop()
    await nowhere.close()


async def test_without_redis_attempts_pass_and_are_counted_as_such() -> None:
    before = failures()
    nowhere = Counts(NOWHERE, "test")
    attempts = Attempts(nowhere, Rate(1, 3600))
    for _ in range(3):
        await attempts.count("127.0.0.1", "somebody")
    assert failures() == before + 6
    await nowhere.close()


@pytest.mark.parametrize("text", ["", "0/minute", "1/week", "-1/second", "a/b", "1", "1/2/3"])
def test_what_is_no_rate_is_refused_at_the_start(text: str) -> None:
    for name in ("rate_key", "rate_login"):
        with pytest.raises(ValidationError):
            Settings(**{name: text}, _env_file=None)
    with pytest.raises(ValidationError):
        Settings(rate_login="none", _env_file=None)  # pyright: ignore[reportArgumentType]


def test_a_rate_is_written_as_it_is_read() -> None:
    for text in ("1/second", "600/minute", "5/hour", "10000/day"):
        assert str(Rate.of(text)) == text
    assert Settings(rate_key="none", _env_file=None).rate_key is None  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "origin", ["app.example.org", "https://a.org/path", "null", "https://a.org/"]
)
def test_what_is_no_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ValidationError):
        Settings(cors_origins=origin, _env_file=None)  # pyright: ignore[reportArgumentType]
