"""Beds and simulations on the whole platform, behind a real server, in both profiles."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest_asyncio

from tests.http.conftest import Api, Running, running
from usina.kernel.errors import NotFound

__all__ = ["running"]

V1 = "/api/v1"
GRID: dict[str, Any] = {"name": "grid", "generator": "spheres-v1", "particle_count": 60}


@dataclass(frozen=True)
class Lab(Api):
    """One organization's calls, with what a test of beds does besides."""

    async def bed(self, **more: Any) -> dict[str, Any]:
        answer = await self.post(f"{V1}/beds", json=GRID | more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def see(self, path: str) -> dict[str, Any]:
        answer = await self.get(f"{V1}{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ready(self, **more: Any) -> dict[str, Any]:
        """A bed whose generation has ended."""
        bed = await self.bed(**more)
        await self.ended(bed["job_id"])
        return await self.see(f"/beds/{bed['id']}")

    async def simulation(self, bed: dict[str, Any], **more: Any) -> dict[str, Any]:
        wanted = {"solver": "flow-v1"} | more
        answer = await self.post(f"{V1}/beds/{bed['id']}/simulations", json=wanted)
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def simulated(self, simulation: dict[str, Any]) -> dict[str, Any]:
        """The simulation once it has ended."""
        return await self.until(
            f"/simulations/{simulation['id']}", lambda now: now["finished_at"] is not None
        )

    async def swept(self, sweep: dict[str, Any]) -> dict[str, Any]:
        """The sweep once it and all of its simulations have ended."""
        return await self.until(
            f"/simulations/sweeps/{sweep['id']}",
            lambda now: now["finished_at"] is not None and now["progress"] == 1,
        )

    async def until(self, path: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Looks again with every event of the organization, and every second without one: what
        ends without a job is told by none."""
        with self.platform.bus.listen(self.caller.organization_id) as listener:
            async with asyncio.timeout(50):
                while not is_so(now := await self.see(path)):
                    await listener.wait(1.0)
        return now

    async def files(self, bed: dict[str, Any]) -> dict[str, dict[str, Any]]:
        found = (await self.see(f"/beds/{bed['id']}/files"))["items"]
        return {each["name"]: each for each in found}

    async def send(self, bed: dict[str, Any], name: str, content: bytes | str) -> Any:
        return await self.post(f"{V1}/beds/{bed['id']}/upload", files={"file": (name, content)})

    def objects(self) -> list[str]:
        """Every object of the organization in the store."""
        owner = self.caller.organization_id
        kinds = ("files", "artifacts", "checkpoints", "uploads")
        return [o.key for kind in kinds for o in self.platform.store.list(f"{kind}/{owner}/")]

    async def is_gone(self, job_id: str) -> bool:
        try:
            await self.platform.jobs.get(self.caller.organization_id, job_id)
        except NotFound:
            return True
        return False


@pytest_asyncio.fixture(loop_scope="session")
async def lab(running: Running) -> Lab:
    api = await running.new_organization()
    return Lab(api.platform, api.client, api.caller, api.key)


@pytest_asyncio.fixture(loop_scope="session")
async def rival(running: Running) -> Lab:
    api = await running.new_organization()
    return Lab(api.platform, api.client, api.caller, api.key)
