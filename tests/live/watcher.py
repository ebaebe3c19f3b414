"""Clients that watch on one channel each, leave at random, and come back with their last id."""

import asyncio
import json
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import httpx2

from tests.live.socket import TERMINAL, socket
from tests.rpc.client import Client

Seen = tuple[str, int, str]
"""Of an event: its id, its seq, its type."""


@dataclass(frozen=True)
class Door:
    """One API process, as clients reach it."""

    url: str
    grpc: str


@dataclass
class Watcher(ABC):
    """Watches one job, here or there. ``start`` is a cursor of before the job."""

    doors: list[Door]
    key: str
    job: str
    start: str
    dice: random.Random
    seen: list[Seen] = field(default_factory=list[Seen])
    returns: int = 0
    last: str = ""
    """The last id, of this job or of another."""

    @property
    def ended(self) -> bool:
        return bool(self.seen) and self.seen[-1][2] in TERMINAL

    async def watch(self) -> None:
        while not self.ended:
            self.returns += 1
            left = self.dice.randint(1, 4)
            async with aclosing(self.events(self.dice.choice(self.doors))) as events:
                async for event in events:
                    self.last = event["id"]
                    if event["job_id"] == self.job:
                        self.seen.append((event["id"], event["seq"], event["type"]))
                        left -= 1
                    if left == 0 or self.ended:
                        break
            await asyncio.sleep(self.dice.random() * 0.3)

    @abstractmethod
    def events(self, door: Door) -> AsyncGenerator[dict[str, Any]]:
        """What is told at this door after the last event that was seen."""

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.key}


class JobSse(Watcher):
    path = "/api/v1/jobs/{job}/events"

    def resumed(self) -> dict[str, str]:
        return {"last-event-id": self.last} if self.last else {}

    async def events(self, door: Door) -> AsyncGenerator[dict[str, Any]]:
        headers = self.headers | {"accept": "text/event-stream"} | self.resumed()
        async with (
            httpx2.AsyncClient(base_url=door.url, timeout=30) as client,
            client.stream("GET", self.path.format(job=self.job), headers=headers) as answer,
        ):
            assert answer.status_code == 200
            has_id = False
            async for line in answer.aiter_lines():
                has_id = has_id or line.startswith("id:")
                if line.startswith("data:") and has_id:
                    yield json.loads(line.removeprefix("data:"))
                has_id = has_id and bool(line)


class OrganizationSse(JobSse):
    path = "/api/v1/events"

    def resumed(self) -> dict[str, str]:
        return {"last-event-id": self.last or self.start}


class Pages(Watcher):
    """Reads the log as lists."""

    async def events(self, door: Door) -> AsyncGenerator[dict[str, Any]]:
        query = {"limit": "3", "cursor": self.last or self.start}
        async with httpx2.AsyncClient(base_url=door.url, timeout=30) as client:
            answer = await client.get("/api/v1/events", params=query, headers=self.headers)
        for item in answer.raise_for_status().json()["items"]:
            yield item


class WebSocket(Watcher):
    async def events(self, door: Door) -> AsyncGenerator[dict[str, Any]]:
        async with socket(door.url) as client:
            await client.say("auth", token=self.key, cursor=self.last or self.start)
            while True:
                message = await client.hear_a("job_update")
                assert message["cursor"] == message["event"]["id"]
                if message["event"]["type"] in TERMINAL:
                    assert message["job"]["finished_at"], message
                yield message["event"]


class JobGrpc(Watcher):
    organization = False

    async def events(self, door: Door) -> AsyncGenerator[dict[str, Any]]:
        async with grpc.aio.insecure_channel(door.grpc) as channel:
            client = Client(channel, self.headers)
            job, cursor = (
                ("", self.last or self.start) if self.organization else (self.job, self.last)
            )
            async with aclosing(client.watch(job, cursor)) as events:
                async for event in events:
                    if event.id:
                        yield {
                            "id": event.id,
                            "job_id": event.job_id,
                            "seq": event.seq,
                            "type": event.type,
                        }


class OrganizationGrpc(JobGrpc):
    organization = True


CHANNELS: tuple[type[Watcher], ...] = (
    *(JobSse, OrganizationSse, Pages, WebSocket, JobGrpc, OrganizationGrpc),
)
