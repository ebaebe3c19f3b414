"""A receiver of webhooks that fails and is away at random, and asks again for what it missed."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.live.socket import TERMINAL
from tests.live.watcher import Door, Seen, Watcher
from tests.webhooks.receiver import Behaviour, Conversation, Receiver, answers, receiver, resets
from usina.kernel.events.event import JOB_TYPES

FAILS, FORGETS = 0.25, 0.15
"""How often it answers 500, and how often it dies before it has answered what it took."""


@dataclass
class Hooked(Watcher):
    """What it took, once for each ``webhook-id``, in the order of the events' own numbers."""

    there: Receiver = field(default_factory=Receiver)
    endpoint: str = ""
    repeats: int = 0
    _away: bool = False
    _taken: dict[str, tuple[str, Seen]] = field(default_factory=dict[str, tuple[str, Seen]])
    """By ``webhook-id`` what it told, and of which job."""

    @property
    def ended(self) -> bool:
        """Once there is no gap up to the end."""
        mine = (seen for job, seen in self._taken.values() if job == self.job)
        self.seen = sorted(mine, key=lambda event: event[1])
        numbers = [seq for _, seq, _ in self.seen]
        whole = numbers == list(range(1, len(numbers) + 1))
        return whole and bool(self.seen) and self.seen[-1][2] in TERMINAL

    async def watch(self) -> None:
        headers = {"x-api-key": self.key}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as client:
            while not self.ended:
                self.returns += 1
                self._away = True
                await asyncio.sleep(self.dice.random() * 0.5)
                self._away = False
                await self._ask_again(client, self.dice.choice(self.doors))
                await asyncio.sleep(0.5 + self.dice.random())

    async def _ask_again(self, client: httpx2.AsyncClient, door: Door) -> None:
        """Whoever is back need not wait for the next attempt."""
        address = f"{door.url}/api/v1/webhooks/deliveries"
        query = {"status": "pending", "endpoint_id": self.endpoint, "limit": "200"}
        pending = (await client.get(address, params=query)).raise_for_status().json()["items"]
        for delivery in pending:
            (await client.post(f"{address}/{delivery['id']}/replay")).raise_for_status()

    def next(self) -> Behaviour:
        if self._away:
            return resets()
        chance = self.dice.random()
        if chance < FAILS:
            return answers(500)
        return self._take if chance > FAILS + FORGETS else self._forget

    async def _take(self, conversation: Conversation) -> None:
        self._keep(conversation)
        await answers(204)(conversation)

    async def _forget(self, conversation: Conversation) -> None:
        self._keep(conversation)
        await resets()(conversation)

    def _keep(self, conversation: Conversation) -> None:
        request = conversation.request
        (event_id, seq), told = request.event, request.told
        assert event_id is not None
        assert seq is not None
        self.repeats += request.id in self._taken
        self._taken[request.id] = told["data"]["id"], (event_id, seq, told["type"])

    def events(self, door: Door) -> AsyncGenerator[dict[str, Any]]:
        raise AssertionError("it is told, and asks for nothing")


@asynccontextmanager
async def hooked(doors: list[Door], key: str, dice: random.Random) -> AsyncGenerator[Hooked]:
    """An endpoint for everything of every job, with its receiver."""
    async with receiver() as there, httpx2.AsyncClient(headers={"x-api-key": key}) as client:
        made = Hooked(doors, key, "", "", dice, there=there)
        there.usual = made.next
        wanted = {"url": there.url, "event_types": list(JOB_TYPES)}
        answer = await client.post(f"{doors[0].url}/api/v1/webhooks", json=wanted)
        made.endpoint = answer.raise_for_status().json()["id"]
        yield made
