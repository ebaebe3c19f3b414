"""Three real servers for all tests of the room, and a platform that knows their models."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cog.server import CogServer
from tests.worker.conftest import Plant, settings
from usina.app import embedded
from usina.apps.cog.folder import Wish, add
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import Status


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, CogServer]]:
    folder = tmp_path_factory.mktemp("cog")
    with ExitStack() as parts:
        old = parts.enter_context(CogServer(folder / "old", "old", "picture").running())
        words = parts.enter_context(CogServer(folder / "words", "old", "words").running())
        old.until_ready()
        made = CogServer(folder / "new", "new", "picture", old.get("/openapi.json"))
        new = parts.enter_context(made.running())
        new.until_ready()
        words.until_ready()
        yield {"old-v1": old, "new-v1": new, "words-v1": words}


class CogPlant(Plant):
    async def file(self, content: bytes) -> str:
        async def parts() -> AsyncIterator[bytes]:
            yield content

        return (await self.platform.files.receive(self.caller, "given.png", None, parts())).id

    async def ask(self, model: str, inputs: dict[str, str] | None = None, **params: Any) -> str:
        request = JobRequest(model, params, inputs or {})
        [job] = await self.platform.jobs.submit(self.caller, [request])
        return job.id

    async def bytes_of(self, job: Job, name: str) -> bytes:
        assert job.status is Status.SUCCEEDED, job.error
        [made] = [artifact for artifact in job.artifacts if artifact.name == name]
        found = await self.platform.artifacts.get(job.organization_id, made.id)
        parts = self.platform.artifacts.read(found, 0, found.size_bytes)
        return b"".join([bytes(part) async for part in parts])

    async def told(self, job_id: str) -> list[dict[str, Any]]:
        """Its steps, as the log of events has them."""
        owner = self.caller.organization_id
        events = await self.platform.events.list(owner, job_id, None, 200)
        return [event.data for event in events if event.type == "job.progress"]

    async def report(self, job: Job) -> dict[str, Any]:
        return json.loads(await self.bytes_of(job, "report.json"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cog(
    servers: dict[str, CogServer], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CogPlant]:
    folder = tmp_path_factory.mktemp("platform")
    asked = settings(folder, slots=4)
    for name, server in servers.items():
        add(Wish(name, server.url), asked.added_runners)
    async with embedded(asked) as running:
        yield CogPlant(
            *(running.platform, running.credentials.organization_id, running.worker),
        )


@pytest.fixture(scope="session")
def folders(cog: CogPlant) -> Path:
    return cog.platform.settings.added_runners
