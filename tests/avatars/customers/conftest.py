"""The avatar API on the whole platform, behind a real server, in both profiles."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx2
import pytest_asyncio

from tests.avatars.program import astronaut, photo
from tests.http.conftest import Api, Running, running

__all__ = ["running"]

_NUMBER = count(1)


@dataclass(frozen=True)
class Studio(Api):
    """One organization's calls, with what a test of customers does besides."""

    async def send(
        self, customer: str, data: bytes | None = None, headers: Any = None, **fields: str
    ) -> httpx2.Response:
        content = photo(astronaut().crop((90, 0, 350, 260))) if data is None else data
        files = {"photo": ("maria-silva.jpg", content)}
        return await self.post(f"/customers/{customer}", files=files, data=fields, headers=headers)

    async def sent(self, customer: str, data: bytes | None = None, **fields: str) -> dict[str, Any]:
        answer = await self.send(customer, data, **fields)
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def done(self, customer: str, data: bytes | None = None, **fields: str) -> dict[str, Any]:
        """A photo that has ended."""
        return await self.ended_photo(await self.sent(customer, data, **fields))

    async def ended_photo(self, sent: dict[str, Any]) -> dict[str, Any]:
        path = f"/customers/{sent['customerId']}/photos/{sent['jobId']}/status?waitSeconds=60"
        photo = (await self.get(path)).json()
        assert photo["status"] in {"DONE", "FAILED"}, photo
        return photo

    def objects(self) -> dict[str, int]:
        """Every object of the organization in the store."""
        owner = self.caller.organization_id
        kinds = ("files", "artifacts", "checkpoints")
        found = [each for kind in kinds for each in self.platform.store.list(f"{kind}/{owner}/")]
        return {each.key: each.size_bytes for each in found}


@pytest_asyncio.fixture(loop_scope="session")
async def studio(running: Running) -> Studio:
    api = await running.new_organization()
    return Studio(api.platform, api.client, api.caller, api.key)


@pytest_asyncio.fixture(loop_scope="session")
async def rival(running: Running) -> Studio:
    api = await running.new_organization()
    return Studio(api.platform, api.client, api.caller, api.key)


def a_customer() -> str:
    return f"Client_{next(_NUMBER)}.of-tests"
