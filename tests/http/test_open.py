"""What is open to everybody: health, metrics, the description and its pages."""

import re

import pytest

from tests.http.conftest import Api, Running
from usina import __version__

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_health(running: Running) -> None:
    answer = await running.anyone.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})


@pytest.mark.parametrize("running", ["embedded"], indirect=True)  # the other's worker is elsewhere
async def test_ready_names_each_dependency(running: Running) -> None:
    answer = await running.anyone.get("/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert {"database", "storage", "worker"} <= set(answer.json()["checks"])
    assert set(answer.json()["checks"].values()) == {"ok"}


@pytest.mark.parametrize("running", ["embedded"], indirect=True)  # the other's worker is elsewhere
async def test_metrics_name_no_organization(running: Running, api: Api) -> None:
    await api.finished()
    answer = await running.anyone.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'usina_jobs_finished_total{model="echo-v1",status="SUCCEEDED"}' in answer.text
    assert 'usina_queue_depth{queue="default"}' in answer.text
    assert api.caller.organization_id not in answer.text


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
async def test_pages_load_nothing_from_elsewhere(running: Running, path: str) -> None:
    answer = await running.anyone.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    loaded = re.findall(r"""(?:src|href)=["']?([^"'> ]+)""", answer.text)
    assert loaded
    for address in loaded:
        assert "//" not in address, address
        if not address.startswith("data:"):
            here = f"/{address.lstrip('/')}"
            assert (await running.anyone.get(here)).status_code == 200, address


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/metrics", "/openapi.json", "/docs", "/redoc", "/"]
)
async def test_head_wherever_get_is(running: Running, path: str) -> None:
    answer = await running.anyone.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert "content-length" in answer.headers


@pytest.mark.parametrize("path", ["/health/", "/docs/", "/openapi.json/", "/api/v1/models/"])
async def test_a_trailing_slash_is_no_redirect(running: Running, api: Api, path: str) -> None:
    assert (await api.get(path)).status_code == 200


async def test_unknown_paths_and_methods(running: Running, api: Api) -> None:
    for path in ("/nothing", "/api/v1/nothing", "/api/v1/jobs//", "/api/v2/jobs", "/..;/health"):
        answer = await api.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert answer.headers["content-type"] == "application/problem+json"
    answer = await api("PATCH", "/api/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    answer = await api("TRACE", "/health")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
