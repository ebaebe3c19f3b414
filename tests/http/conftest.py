"""The whole platform behind a real server on loopback, and an organization for each test."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from pwdlib.hashers.argon2 import Argon2Hasher

from tests.profiles import PROFILES
from tests.storage.s3_server import settings_of_bucket
from usina.faces.http.app import create_app
from usina.kernel.limits.rate import Rate
from usina.kernel.platform import Platform
from usina.kernel.tenancy import password
from usina.kernel.tenancy.caller import Caller
from usina.server import AsgiApp, bind, make_server, url_of
from usina.settings import Settings

_NUMBER = count(1)


@asynccontextmanager
async def served(
    app: AsgiApp, trusted_proxies: Sequence[str] = ()
) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the app behind a real uvicorn."""
    listener = bind("127.0.0.1", 0)
    server = make_server(app, trusted_proxies)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with httpx2.AsyncClient(base_url=url_of(listener), timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        await serving
        listener.close()


@dataclass(frozen=True)
class Running:
    """A platform that is at work, a client without a key, and the first organization's key."""

    platform: Platform
    anyone: httpx2.AsyncClient
    first_key: str = ""

    async def new_organization(self) -> "Api":
        made = await self.platform.tenancy.create_organization(f"organization {next(_NUMBER)}")
        return await self.with_key(made.api_key)

    async def with_key(self, key: str) -> "Api":
        caller = await self.platform.gate.by_key(key)
        assert caller is not None
        return Api(self.platform, self.anyone, caller, key)


@dataclass(frozen=True)
class Api:
    """One organization's calls."""

    platform: Platform
    client: httpx2.AsyncClient
    caller: Caller
    key: str

    async def __call__(
        self, method: str, path: str, headers: Mapping[str, str | bytes] | None = None, **more: Any
    ) -> httpx2.Response:
        sent = {"x-api-key": self.key, **(headers or {})}
        return await self.client.request(method, path, headers=sent, **more)

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        return await self("GET", path, **more)

    async def post(self, path: str, **more: Any) -> httpx2.Response:
        return await self("POST", path, **more)

    async def submit(self, **submission: Any) -> dict[str, Any]:
        """An accepted job; ``echo-v1`` unless told."""
        answer = await self.post("/api/v1/jobs", json={"model": "echo-v1"} | submission)
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def finished(self, **submission: Any) -> dict[str, Any]:
        """A job that has ended."""
        return await self.ended((await self.submit(**submission))["id"])

    async def ended(self, job_id: str) -> dict[str, Any]:
        job = (await self.get(f"/api/v1/jobs/{job_id}?wait_seconds=30")).json()
        assert job["finished_at"], job
        return job

    async def running(self, **submission: Any) -> dict[str, Any]:
        """A job that a worker has taken; its program may not have begun."""
        return await self.reached("job.running", **submission)

    async def in_progress(self, **params: Any) -> dict[str, Any]:
        """A job whose program has said that it gets on."""
        return await self.reached("job.progress", params={"progress_steps": 100, **params})

    async def reached(self, kind: str, **submission: Any) -> dict[str, Any]:
        job = await self.submit(**submission)
        followed = self.platform.events.follow(self.caller.organization_id, job["id"], None)
        async for event in followed:
            if event is not None and event.type == kind:
                break
        return (await self.get(f"/api/v1/jobs/{job['id']}")).json()

    async def ended_by_cancel(self, job_id: str) -> dict[str, Any]:
        await self.post(f"/api/v1/jobs/{job_id}/cancel")
        return await self.ended(job_id)


STORES: dict[str, Callable[[], dict[str, str]]] = {"folder": dict, "s3": settings_of_bucket}
"""What chooses each store that the routes of bytes are specified over."""


def settings_of(folder: Path, **more: Any) -> Settings:
    runners = (Path(__file__).parent / "runners",)
    given: dict[str, Any] = {"slots": 2, "retry_seconds": 0.05}
    given["webhook_allowed_networks"] = "127.0.0.0/8"
    given["rate_login"] = Rate(60, 60)
    return Settings(data=folder, runners=runners, _env_file=None, **given | more)


@asynccontextmanager
async def at_work(settings: Settings, profile: str = "embedded") -> AsyncGenerator[Running]:
    """A whole platform behind a server, until the context ends."""
    with quick_passwords():
        async with (
            PROFILES[profile](settings) as made,
            served(create_app(made.platform), settings.trusted_proxies) as client,
        ):
            yield Running(made.platform, client, made.first_key)


@contextmanager
def quick_passwords() -> Generator[None]:
    """A hash takes a tenth of a second and 64 MiB by design, which no test here is about: see
    `tests/identity/test_password.py`."""
    quick = password.PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(password.PasswordHash, "recommended", lambda: quick)
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=sorted(PROFILES))
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Running]:
    async with at_work(settings_of(tmp_path_factory.mktemp("http")), request.param) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def api(running: Running) -> Api:
    return await running.new_organization()


@pytest_asyncio.fixture(loop_scope="session")
async def operator(running: Running) -> Api:
    """The first organization, whose keys steer the platform."""
    return await running.with_key(running.first_key)


@pytest_asyncio.fixture(loop_scope="session")
async def other(running: Running) -> Api:
    return await running.new_organization()
