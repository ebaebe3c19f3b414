"""A whole platform with real runner programs.

Embedded, it is a test's own; distributed, one for all, with an organization for each test.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.profiles import PROFILES
from usina.app import Embedded, embedded
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import Status
from usina.kernel.platform import Platform
from usina.kernel.tenancy.caller import Caller
from usina.kernel.worker.worker import Worker
from usina.settings import Settings

RUNNERS = (Path(__file__).parent / "runners",)
_NUMBER = count(1)


class Plant:
    """The platform and one of its organizations."""

    def __init__(
        self, platform: Platform, organization_id: str, worker: Worker | None = None
    ) -> None:
        self.platform = platform
        self.caller = Caller(organization_id, None)
        self._worker = worker

    @classmethod
    def of(cls, running: Embedded) -> "Plant":
        return cls(running.platform, running.credentials.organization_id, running.worker)

    @property
    def worker(self) -> Worker:
        assert self._worker is not None, "it is another process"
        return self._worker

    @property
    def work_root(self) -> Path:
        """What the folders of all workers' programs begin with."""
        return self.platform.settings.data / "work"

    async def submit(self, count: int = 1, **params: Any) -> list[str]:
        request = JobRequest("echo-v1", params)
        return [job.id for job in await self.platform.jobs.submit(self.caller, [request] * count)]

    async def get(self, job_id: str) -> Job:
        return await self.platform.jobs.get(self.caller.organization_id, job_id)

    async def end(self, job_id: str) -> Job:
        job = await self.platform.jobs.wait(self.caller.organization_id, job_id, 30)
        assert job.status.terminal, job
        return job

    async def follow(self, job_id: str, kind: str) -> None:
        """Returns when the event has happened."""
        owner = self.caller.organization_id
        async for event in self.platform.events.follow(owner, job_id, None):
            if event is not None and event.type == kind:
                return

    async def count(self, status: Status) -> int:
        from usina.kernel.jobs.store.query import JobFilter

        owner = self.caller.organization_id
        page = await self.platform.jobs.list(owner, JobFilter((status,)), None, 200)
        return len(page.items)


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(
        data=folder / "data",
        slots=changes.pop("slots", 2),
        retry_seconds=0.01,
        heartbeat_seconds=changes.pop("heartbeat_seconds", 0.1),
        grace_seconds=changes.pop("grace_seconds", 0),
        **changes,
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def distributed_platform(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Platform]:
    folder = tmp_path_factory.mktemp("worker")
    async with PROFILES["distributed"](settings(folder, runners=RUNNERS)) as made:
        yield made.platform


@pytest_asyncio.fixture(loop_scope="session")
async def lodged(distributed_platform: Platform) -> Plant:
    made = await distributed_platform.tenancy.create_organization(f"lodger {next(_NUMBER)}")
    return Plant(distributed_platform, made.organization_id)


@pytest_asyncio.fixture(loop_scope="session")
async def alone(tmp_path: Path) -> AsyncIterator[Embedded]:
    """For what a test can only see where the worker is in its own process."""
    async with embedded(settings(tmp_path, runners=RUNNERS)) as running:
        yield running


@pytest.fixture(params=["distributed", "embedded"])
def plant(request: pytest.FixtureRequest) -> Plant:
    if request.param == "embedded":
        return Plant.of(request.getfixturevalue("alone"))
    return request.getfixturevalue("lodged")


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    """Looks until it is true; for what no event tells of."""
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.01)
