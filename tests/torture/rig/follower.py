"""Those who follow the log while it is written, leave at random and come back with the last id."""

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass, field

import httpx2

from tests.torture.rig.history import Caller, History, leak_in
from tests.torture.rig.plan import Plan

Told = tuple[str, int, str]
"""Of an event: job, seq, type."""

_REST_SECONDS = 0.1


@dataclass
class Follower:
    """What one follower saw, in order. ``job`` is null for one of the whole organization, and
    ``channel`` is ``list`` or ``sse``."""

    caller: Caller
    channel: str
    job: str | None
    random_: random.Random
    seen: list[Told] = field(default_factory=list[Told])
    last: str = ""
    returns: int = 0
    gone: bool = False
    leak: str = ""

    @property
    def organization(self) -> str:
        return self.caller.organization

    @property
    def path(self) -> str:
        return "/events" if self.job is None else f"/jobs/{self.job}/events"

    async def follow(self) -> None:
        """Until it is cancelled, or the job has ended."""
        while not self.gone:
            self.returns += 1
            with contextlib.suppress(httpx2.HTTPError, OSError, TimeoutError):
                if self.channel == "list":
                    await self._page()
                else:
                    await self._stream(self.random_.randint(1, 120))
            await asyncio.sleep(self.random_.uniform(0, 2 * _REST_SECONDS))

    async def _page(self) -> None:
        query = {"limit": str(self.random_.randint(1, 200))} | (
            {"cursor": self.last} if self.last else {}
        )
        answer = await self.caller.client(self.random_.randrange(2)).get(self.path, params=query)
        if answer.status_code != 200:
            return
        self.leak = self.leak or leak_in(answer.text)
        for item in answer.json()["items"]:
            self._take(item)

    async def _stream(self, most: int) -> None:
        """Reads so many events at most, then hangs up."""
        headers = {"accept": "text/event-stream"} | (
            {"last-event-id": self.last} if self.last else {}
        )
        client = self.caller.client(self.random_.randrange(2))
        async with client.stream("GET", self.path, headers=headers, timeout=20) as answer:
            if answer.status_code == 204:
                self.gone = True
            if answer.status_code != 200:
                return
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.strip()
                    continue
                if "id" in fields:
                    self._take(json.loads(fields["data"]))
                    most -= 1
                fields = {}
                if most <= 0:
                    return

    def _take(self, event: dict[str, object]) -> None:
        self.seen.append((str(event["job_id"]), int(str(event["seq"])), str(event["type"])))
        self.last = str(event["id"])


class Crowd:
    """All followers of a run: two of each organization, and one of every so many jobs."""

    def __init__(self, plan: Plan, callers: list[Caller], history: History) -> None:
        self._plan = plan
        self._callers = {caller.organization: caller for caller in callers}
        self._random = plan.random("followers")
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.followers: list[Follower] = []
        self._history = history

    def start(self) -> None:
        for caller in self._callers.values():
            self._begin(Follower(caller, "list", None, self._random))
            self._begin(Follower(caller, "sse", None, self._random))
        self._run(self._join_some())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lasts(self) -> dict[str, list[Told]]:
        """Of each organization the last event that its slowest follower has seen."""
        of_all = [follower for follower in self.followers if follower.job is None]
        return {
            name: [f.seen[-1] for f in of_all if f.organization == name and f.seen]
            for name in self._callers
        }

    def _begin(self, follower: Follower) -> None:
        self.followers.append(follower)
        self._run(follower.follow())

    def _run(self, follows: object) -> None:
        task = asyncio.ensure_future(follows)  # pyright: ignore[reportArgumentType]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join_some(self) -> None:
        """Every twentieth job has a follower of its own, and every tenth somebody who waits."""
        number = 0
        while True:
            organization, job = await self.accepted.get()
            caller, number = self._callers[organization], number + 1
            if number % 20 == 0:
                self._begin(Follower(caller, "sse", job, self._random))
            if number % 10 == 5:
                self._run(self._wait(caller, job))

    async def _wait(self, caller: Caller, job: str) -> None:
        """By long-poll, again and again, until the job has ended."""
        while True:
            path = f"/jobs/{job}?wait_seconds={self._random.randint(1, 8)}"
            operation, body = await caller.ask(
                self._random.randrange(2), "GET", path, f"wait {job}"
            )
            if operation.status == 200 and body["status"] not in {"QUEUED", "RUNNING"}:
                return
            await asyncio.sleep(_REST_SECONDS)
