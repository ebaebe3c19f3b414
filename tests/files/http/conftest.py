"""The routes of files and artifacts on the whole platform, behind a real server."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
import pytest_asyncio
import sqlalchemy as sa

from tests.http.conftest import Api, Running, at_work, settings_of
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.store import insert_artifacts
from usina.kernel.files.table import files
from usina.kernel.ids import new_id
from usina.kernel.storage.s3 import S3Store

MAX_BYTES = 20 * 1024**2


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def on_folder(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    settings = settings_of(tmp_path_factory.mktemp("files"), max_upload_bytes=MAX_BYTES)
    async with at_work(settings) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def on_bucket(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    settings = settings_of(tmp_path_factory.mktemp("bucket"), max_upload_bytes=MAX_BYTES)
    async with at_work(settings, "distributed") as made:
        yield made


@pytest.fixture(params=["on_bucket", "on_folder"])
def running(request: pytest.FixtureRequest) -> Running:
    """The routes are specified over both stores, each in its profile."""
    return request.getfixturevalue(request.param)


@dataclass(frozen=True)
class Office(Api):
    """One organization's calls, with what a test of files looks at besides."""

    async def upload(
        self, content: bytes, name: str = "a.bin", **more: object
    ) -> dict[str, object]:
        answer = await self.post("/api/v1/files", files={"file": (name, content)}, **more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def artifact(
        self, content: bytes, name: str = "a.bin", media_type: str = "application/octet-stream"
    ) -> Artifact:
        """An artifact in the store, as if a job had made it."""
        artifact = Artifact(
            id=new_id(),
            organization_id=self.caller.organization_id,
            job_id=new_id(),
            attempt=1,
            kind="data",
            name=name,
            media_type=media_type,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            created_at=self.platform.clock.now(),
        )
        self.platform.store.put(artifact.key, content)
        await self.platform.database.write(lambda tx: insert_artifacts(tx, [artifact]))
        return artifact

    async def rows(self) -> int:
        mine = files.c.organization_id == self.caller.organization_id
        return await self.platform.database.read(
            lambda tx: len(tx.execute(sa.select(files.c.id).where(mine)).all())
        )

    def objects(self) -> list[str]:
        owner = self.caller.organization_id
        found = [stored.key for stored in self.platform.store.list("") if owner in stored.key]
        return sorted(found)

    async def is_empty(self) -> bool:
        """Whether nothing of the organization is kept, once requests under way have ended."""
        async with asyncio.timeout(10):
            while self.unfinished():
                await asyncio.sleep(0.01)
        return not self.objects() and await self.rows() == 0

    def unfinished(self) -> list[str]:
        """Objects on their way into the store, of this organization."""
        store = self.platform.store
        if isinstance(store, S3Store):
            found = [begun.key for begun in store._calls.unfinished(store._place.prefix)]
        else:
            root = self.platform.settings.data / "store"
            found = [str(path) for path in root.rglob("*#*")]
        return [name for name in found if self.caller.organization_id in name]


async def _office(running: Running) -> Office:
    api = await running.new_organization()
    return Office(api.platform, api.client, api.caller, api.key)


@pytest_asyncio.fixture(loop_scope="session")
async def office(running: Running) -> Office:
    return await _office(running)


@pytest_asyncio.fixture(loop_scope="session")
async def other_office(running: Running) -> Office:
    return await _office(running)
