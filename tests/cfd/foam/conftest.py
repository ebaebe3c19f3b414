"""One flow through sixty spheres at two velocities, through the whole platform, for many tests."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cfd.foam.program import BED, COARSE, COARSEST, COLUMN, MODEL, Channel, prepare, run
from tests.http.conftest import Api, Running, at_work, settings_of

VELOCITIES = [0.05, 0.2]


@dataclass(frozen=True)
class Flow:
    """A job that has ended, its artifacts in ``folder``, its events, its log."""

    job: dict[str, Any]
    folder: Path
    events: list[dict[str, Any]]
    log: str

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.folder / "report.json").read_text())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    async with at_work(settings_of(tmp_path_factory.mktemp("foam"))) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def api(platform: Running) -> Api:
    return await platform.new_organization()


async def sent(api: Api, bed: Path) -> str:
    """The id of the bed as a file of the platform's."""
    answer = await api.post("/api/v1/files", files={"file": ("particles.csv", bed.read_bytes())})
    return answer.json()["id"]


async def ended(api: Api, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = {"finished_at": None}
    while not job["finished_at"]:
        job = (await api.get(f"/api/v1/jobs/{job_id}?wait_seconds=25")).json()
    return job


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def flow(platform: Running, tmp_path_factory: pytest.TempPathFactory) -> Flow:
    api = await platform.new_organization()
    params = {"velocity_m_s": VELOCITIES, "mesh": COARSE}
    job = await api.submit(model=MODEL, inputs={"bed": await sent(api, BED)}, params=params)
    job = await ended(api, job["id"])
    folder = tmp_path_factory.mktemp("flow")
    for artifact in job["artifacts"]:
        answer = await api.get(f"/api/v1/artifacts/{artifact['id']}/content")
        (folder / artifact["name"]).write_bytes(answer.content)
    events = (await api.get(f"/api/v1/jobs/{job['id']}/events?limit=200")).json()["items"]
    log = (await api.get(f"/api/v1/jobs/{job['id']}/logs")).text
    assert job["status"] == "SUCCEEDED", (job["error"], log)
    return Flow(job, folder, events, log)


@pytest.fixture(scope="session")
def column(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Channel]:
    """The outputs of the smallest flow there is, its report, and what its program said; in a folder
    whose name OpenFOAM does not take."""
    folder, channel = tmp_path_factory.mktemp("column"), Channel()
    job = prepare(folder / "João's 列", COLUMN.read_bytes(), channel, mesh=COARSEST)
    return job.outputs, run(job), channel
