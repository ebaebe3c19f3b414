"""A whole embedded platform in the test's own process, with real runner programs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from usina.app import Embedded, embedded
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import Status
from usina.kernel.tenancy.caller import Caller
from usina.settings import Settings


class Plant:
    """The platform and its first owner."""

    def __init__(self, running: Embedded) -> None:
        self.platform = running.platform
        self.worker = running.worker
        self.caller = Caller(running.credentials.organization_id, None)

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


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    async with embedded(settings(tmp_path)) as running:
        yield Plant(running)


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    """Looks until it is true; for what no event tells of."""
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.01)
