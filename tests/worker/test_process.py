"""`usina worker` as a process of its own: drained over the bus, stopped by signals, killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import until
from usina.app import platform_on
from usina.catalogue import registry_of
from usina.ground import distributed_ground
from usina.kernel.dispatch.hint import BusDispatch
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import Status
from usina.kernel.platform import Platform
from usina.kernel.tenancy.caller import Caller
from usina.settings import Settings

RUNNERS = Path(__file__).parent / "runners"


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis of this test, on a socket."""
    socket = tmp_path / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""],
        stdout=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    yield f"unix://{socket}"
    server.terminate()
    server.wait(10)


class Office:
    """The side that asks: a platform without a worker, on the same database and bus."""

    def __init__(self, platform: Platform, caller: Caller, variables: dict[str, str]) -> None:
        self.platform = platform
        self.caller = caller
        self._variables = variables
        self.processes: list[asyncio.subprocess.Process] = []

    async def worker(self, **more: str) -> asyncio.subprocess.Process:
        """A worker process that is at work; its group is its own."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "usina.faces.cli.main", "worker", "--slots", "1"),
            stdout=subprocess.PIPE,
            env={**os.environ, **self._variables, **more},
            start_new_session=True,
        )
        self.processes.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(40):
            while not (line := await process.stdout.readline()).startswith(b"ready "):
                assert line, "the worker left"
        return process

    async def submit(self, model: str = "echo-v1", **params: Any) -> str:
        [job] = await self.platform.jobs.submit(self.caller, [JobRequest(model, params)])
        return job.id

    async def running(self, model: str = "echo-v1", **params: Any) -> str:
        """A job whose program is at work."""
        steps = {"progress_steps": 100} if model == "echo-v1" else {}
        job_id = await self.submit(model, **steps, **params)
        owner = self.caller.organization_id
        async for event in self.platform.events.follow(owner, job_id, None):
            if event is not None and event.type == "job.progress":
                break
        return job_id

    async def get(self, job_id: str) -> Job:
        return await self.platform.jobs.get(self.caller.organization_id, job_id)

    async def end(self, job_id: str) -> Job:
        job = await self.platform.jobs.wait(self.caller.organization_id, job_id, 40)
        assert job.status.terminal, job
        return job


@asynccontextmanager
async def opened(folder: Path, postgres_url: str, redis_url: str) -> AsyncIterator[Office]:
    variables = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
        "USINA_STORAGE_URL": (folder / "store").as_uri(),
        "USINA_DATA": str(folder / "data"),
        "USINA_RUNNERS": str(RUNNERS),
        "USINA_HEARTBEAT_SECONDS": "20",
        "USINA_LEASE_SECONDS": "60",
    }
    (folder / "store").mkdir()
    settings = Settings(
        data=folder / "data",
        database_url=postgres_url,
        redis_url=redis_url,
        storage_url=variables["USINA_STORAGE_URL"],
        runners=(RUNNERS,),
        heartbeat_seconds=20,
        lease_seconds=60,
        _env_file=None,
    )
    async with contextlib.AsyncExitStack() as parts:
        ground = await distributed_ground(settings, parts)
        assert ground.relay is not None
        relay = ground.relay
        await until(lambda: _true(relay.answers))
        registry = await registry_of(settings)
        platform = platform_on(ground, registry, BusDispatch(ground.bus), {})
        made = await platform.tenancy.create_organization("tests")
        office = Office(platform, Caller(made.organization_id, None), variables)
        try:
            yield office
        finally:
            for process in office.processes:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()


@pytest.fixture
async def office(tmp_path: Path, postgres_url: str, redis_url: str) -> AsyncIterator[Office]:
    async with opened(tmp_path, postgres_url, redis_url) as ready:
        yield ready


async def test_a_drain_reaches_another_process_at_once(office: Office) -> None:
    """Its next heartbeat is far."""
    await office.worker()
    job_id = await office.running(seconds=1)
    [worker] = (await office.platform.workers.list(None, 9)).items
    assert (worker.queues, worker.busy_slots) == (["default", "gpu", "io"], 1)
    await office.platform.workers.drain(worker.id, draining=True)
    assert (await office.end(job_id)).status is Status.SUCCEEDED
    waiting = await office.submit()
    await asyncio.sleep(1)  # nothing tells that nothing happens
    job = await office.get(waiting)
    assert (job.status, job.waiting_reason) == (Status.QUEUED, "no_worker")
    await office.platform.workers.drain(worker.id, draining=False)
    assert (await office.end(waiting)).status is Status.SUCCEEDED


async def test_term_lets_a_job_finish_within_the_grace(office: Office) -> None:
    process = await office.worker(USINA_GRACE_SECONDS="30")
    job_id = await office.running(seconds=2)
    waiting = await office.submit()
    process.send_signal(signal.SIGTERM)
    job = await office.end(job_id)
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    assert await asyncio.wait_for(process.wait(), 15) == 0
    assert (await office.get(waiting)).status is Status.QUEUED
    assert (await office.platform.workers.list(None, 9)).items == ()


async def test_a_second_term_hands_back_at_once(office: Office) -> None:
    process = await office.worker(USINA_GRACE_SECONDS="600")
    job_id = await office.running("saver-v1", answer="ignore")
    process.send_signal(signal.SIGTERM)
    other = await office.submit()  # the worker takes nothing more: it heard the first one
    await asyncio.sleep(1)  # what it does not do takes time
    assert (await office.get(other)).status is Status.QUEUED
    assert (await office.get(job_id)).status is Status.RUNNING
    process.send_signal(signal.SIGTERM)
    await until(lambda: _queued(office, job_id), 10)
    assert await asyncio.wait_for(process.wait(), 15) == 0
    job = await office.get(job_id)
    assert (job.attempt, job.max_attempts) == (2, 4)


async def test_a_kill_in_the_midst_of_the_grace_loses_nothing(office: Office) -> None:
    dying = await office.worker(USINA_GRACE_SECONDS="600")
    job_id = await office.running("saver-v1", answer="ignore")
    dying.send_signal(signal.SIGTERM)
    other = await office.submit()
    await asyncio.sleep(0.5)  # into the grace
    await office.worker()
    assert (await office.end(other)).status is Status.SUCCEEDED
    assert (await office.get(job_id)).status is Status.RUNNING, "its lease stands"
    dying.kill()
    job = await office.end(job_id)
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)


async def _queued(office: Office, job_id: str) -> bool:
    return (await office.get(job_id)).status is Status.QUEUED


async def _true(fact: bool) -> bool:
    return fact
