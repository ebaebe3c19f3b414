"""Messages between processes may be lost, doubled, late and out of order: that costs time alone."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.profiles import shared
from usina.app import platform_on
from usina.catalogue import registry_of
from usina.ground import distributed_ground
from usina.kernel.db.session import Session
from usina.kernel.dispatch.hint import BusDispatch
from usina.kernel.events.bus import Bus, end_topic, queue_topic
from usina.kernel.events.event import JOB_TERMINAL_TYPES, Event
from usina.kernel.events.relay import RedisRelay
from usina.kernel.jobs.job import JobRequest
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store.death import session_name
from usina.kernel.platform import Platform
from usina.kernel.redis import Channels
from usina.kernel.tenancy.caller import Caller
from usina.settings import Settings
from usina.workforce import make_worker

JOBS = 8


class Line:
    """Carries a share of what it is given, by a fixed throw of dice."""

    def __init__(self, seed: int, carried: float) -> None:
        self._dice = random.Random(seed)
        self._carried = carried
        self.told = self.lost = 0
        self._late: set[asyncio.Task[bool]] = set()

    def spoil(self, monkeypatch: pytest.MonkeyPatch) -> None:
        send = Channels.send

        async def perhaps(channels: Channels, told: Mapping[str, bytes]) -> bool:
            self.told += 1
            if self._dice.random() >= self._carried:
                self.lost += 1
                return True
            for _ in range(self._dice.choice((1, 1, 2))):
                seconds = self._dice.choice((0.0, 0.0, 0.3))
                late = asyncio.create_task(self._send_late(send, channels, told, seconds))
                self._late.add(late)
            return True

        monkeypatch.setattr(Channels, "send", perhaps)

    async def _send_late(
        self, send: Any, channels: Channels, told: Mapping[str, bytes], seconds: float
    ) -> bool:
        await asyncio.sleep(seconds)
        return await send(channels, told)

    async def end(self) -> None:
        await asyncio.gather(*self._late)


@asynccontextmanager
async def two_processes(settings: Settings) -> AsyncGenerator[Platform]:
    """An API and a worker that know of each other by the database and the relay alone."""
    async with shared(settings) as given, contextlib.AsyncExitStack() as parts:
        api = await distributed_ground(given, parts)
        away = await distributed_ground(given, parts, works=True)
        registry = await registry_of(given)
        worker = await make_worker(
            away,
            registry,
            given.data / "work",
            ["default"],
            grace_seconds=0,
            holds_session=True,
        )
        assert given.database_url is not None
        session = Session(given.database_url, session_name(worker.id), worker.beat_now)
        await session.start()
        parts.push_async_callback(session.stop)
        await worker.start(take_over=False)
        parts.push_async_callback(worker.stop)
        yield platform_on(api, registry, BusDispatch(api.bus), {})


@pytest.mark.parametrize(("seed", "carried"), [(1, 0.0), (2, 0.3), (3, 0.7), (4, 1.0)])
async def test_what_the_line_does_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, carried: float
) -> None:
    line = Line(seed, carried)
    settings = Settings(data=tmp_path, slots=2, poll_seconds=1, heartbeat_seconds=1, _env_file=None)
    async with two_processes(settings) as platform:
        line.spoil(monkeypatch)
        made = await platform.tenancy.create_organization("lab")
        caller = Caller(made.organization_id, None)
        request = JobRequest("echo-v1", {"seconds": 0.1})
        jobs = [(await platform.jobs.submit(caller, [request]))[0].id for _ in range(JOBS)]
        [endless] = await platform.jobs.submit(caller, [JobRequest("echo-v1", {"seconds": 600})])
        async with asyncio.timeout(60), asyncio.TaskGroup() as waiting:
            followed = [waiting.create_task(until_its_end(platform, caller, job)) for job in jobs]
            waited = [
                waiting.create_task(platform.jobs.wait(caller.organization_id, job, 50))
                for job in jobs
            ]
            waiting.create_task(cancelled(platform, caller, endless.id))
        for events, job in zip(followed, waited, strict=True):
            told = events.result()
            assert [event.seq for event in told] == list(range(1, len(told) + 1))
            assert [event.type for event in told if event.type in JOB_TERMINAL_TYPES] == [
                "job.succeeded"
            ]
            assert (job.result().status, job.result().attempt) == (Status.SUCCEEDED, 1)
        await line.end()
    assert line.told > 0
    assert (line.lost > 0) is (carried < 1)


async def until_its_end(platform: Platform, caller: Caller, job_id: str) -> list[Event]:
    told: list[Event] = []
    async for event in platform.events.follow(caller.organization_id, job_id, None):
        if isinstance(event, Event):
            told.append(event)
            if event.type in JOB_TERMINAL_TYPES:
                break
    return told


async def cancelled(platform: Platform, caller: Caller, job_id: str) -> None:
    owner = caller.organization_id
    while (await platform.jobs.get(owner, job_id)).status is not Status.RUNNING:
        await asyncio.sleep(0.05)
    await platform.jobs.cancel(owner, job_id)
    ended = await platform.jobs.wait(owner, job_id, 50)
    assert ended.status is Status.CANCELLED


async def test_workers_hear_what_they_are_asked_and_all_others_hear_the_log(
    tmp_path: Path,
) -> None:
    async with shared(Settings(data=tmp_path, _env_file=None)) as given:
        assert given.redis_url is not None
        heard: dict[str, list[str]] = {"office": [], "worker": []}
        relays = {}
        for name, works in (("office", False), ("worker", True), ("teller", False)):
            bus = Bus()
            for kind in ("queue", "end"):
                told = heard.get(name, [])
                bus.tap(kind, lambda rest, kind=kind, told=told: told.append(f"{kind}:{rest}"))
            relays[name] = RedisRelay(given.redis_url, "platform", bus, works=works)
            relays[name].start()
        async with asyncio.timeout(20):
            while not all(relay.answers for relay in relays.values()):
                await asyncio.sleep(0.01)
            relays["teller"].topics([queue_topic("default"), end_topic("a job")])
            while not all(heard.values()):
                await asyncio.sleep(0.01)
        assert heard == {"office": ["end:a job"], "worker": ["queue:default"]}
        for relay in relays.values():
            await relay.stop()
