"""What clients do: submits with keys, repeated; cancels, reopens, uploads, and prying."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.torture.rig.history import Caller
from tests.torture.rig.plan import Plan

ACCEPTED = frozenset({200, 202})
_PATIENCE_SECONDS = 90.0


@dataclass
class Workload:
    """``unfinished`` is how many accepted jobs have not ended, as the rig's own look told last."""

    plan: Plan
    callers: Sequence[Caller]
    unfinished: int = 0
    submitted: int = 0
    given_up: list[str] = field(default_factory=list[str])
    jobs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Every accepted job with its organization."""
    on_accepted: list[asyncio.Queue[tuple[str, str]]] = field(default_factory=list)
    _numbers: int = 0
    _later: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def run(self) -> None:
        """Returns when every job was submitted and all that was meant to follow has followed."""
        async with asyncio.TaskGroup() as clients:
            for number in range(self.plan.clients):
                clients.create_task(self._client(number))
        await asyncio.gather(*self._later)

    async def _client(self, number: int) -> None:
        random_ = self.plan.random(f"client {number}")
        caller = self.callers[number % len(self.callers)]
        while self._numbers < self.plan.jobs:
            self._numbers += 1
            while self.unfinished > self.plan.most_unfinished:
                await asyncio.sleep(0.05)
            await self._one_job(f"{number}-{self._numbers}", caller, random_)

    async def _one_job(self, name: str, caller: Caller, random_: random.Random) -> None:
        body = submission(random_)
        if random_.random() < 0.03 and (file := await self._upload(caller, name, random_)):
            body["inputs"] = {"file": file}
        job = await self._submit(caller, f"key-{name}", body, random_)
        self.submitted += 1
        self.unfinished += 1
        if job is None:
            self.given_up.append(name)
            return
        self.jobs.append((caller.organization, job))
        for queue in self.on_accepted:
            queue.put_nowait((caller.organization, job))
        roll = random_.random()
        if roll < 0.05:
            self._then(self._cancel(caller, job, random_.uniform(0, 1.5), random_))
        elif roll < 0.07:
            self._then(self._reopen(caller, job, random_))
        elif roll < 0.12:
            self._then(self._pry(caller, random_))

    def _then(self, follows: Any) -> None:
        task = asyncio.create_task(follows)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _submit(
        self, caller: Caller, key: str, body: Mapping[str, Any], random_: random.Random
    ) -> str | None:
        """Asks until it is told, then up to three times more, wherever it likes."""
        request = {"json": {**body, "labels": {"key": key}}, "headers": {"Idempotency-Key": key}}
        times = random_.choices([1, 2, 3, 4], [70, 15, 10, 5])[0]
        told = await self._until_told(caller, random_, "POST", "/jobs", key, **request)
        for _ in range(times - 1):
            await caller.ask(random_.randrange(2), "POST", "/jobs", key, **request)
        return told

    async def _upload(self, caller: Caller, name: str, random_: random.Random) -> str | None:
        data = b"\x00" + random_.randbytes(random_.choice([10, 3_000, 200_000]))
        return await self._until_told(
            caller,
            random_,
            "POST",
            "/files",
            f"file-{name}",
            files={"file": ("input.bin", data)},
            headers={"Idempotency-Key": f"file-{name}"},
        )

    async def _cancel(
        self, caller: Caller, job: str, seconds: float, random_: random.Random
    ) -> None:
        await asyncio.sleep(seconds)
        await self._until_told(caller, random_, "POST", f"/jobs/{job}/cancel", f"cancel {job}")

    async def _reopen(self, caller: Caller, job: str, random_: random.Random) -> None:
        """Cancels it, and when it has ended so, opens it again."""
        await self._until_told(caller, random_, "POST", f"/jobs/{job}/cancel", f"cancel {job}")
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            operation, body = await caller.ask(
                random_.randrange(2), "GET", f"/jobs/{job}?wait_seconds=2"
            )
            if operation.status == 200 and body["status"] not in {"QUEUED", "RUNNING"}:
                break
            await asyncio.sleep(0.1)
        await caller.ask(random_.randrange(2), "POST", f"/jobs/{job}/retry", f"reopen {job}")

    async def _pry(self, caller: Caller, random_: random.Random) -> None:
        """Asks for what is another organization's, in every way there is."""
        foreign = [job for owner, job in self.jobs if owner != caller.organization]
        if not foreign:
            return
        job = random_.choice(foreign)
        verb, path = random_.choice(
            [
                ("GET", f"/jobs/{job}"),
                ("GET", f"/jobs/{job}?wait_seconds=0.2"),
                ("GET", f"/jobs/{job}/events"),
                ("GET", f"/jobs/{job}/logs"),
                ("GET", f"/jobs/{job}/download"),
                ("POST", f"/jobs/{job}/cancel"),
                ("POST", f"/jobs/{job}/retry"),
                ("DELETE", f"/jobs/{job}"),
                ("GET", f"/files/{job}"),
                ("GET", f"/artifacts/{job}"),
            ]
        )
        await caller.ask(random_.randrange(2), verb, path, f"pry {job}", foreign=True)

    async def _until_told(
        self,
        caller: Caller,
        random_: random.Random,
        verb: str,
        path: str,
        subject: str,
        **request: Any,
    ) -> str | None:
        """Asks again as long as the answer is silence, 503 or that the first one still runs."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            which = random_.randrange(2)
            operation, _ = await caller.ask(which, verb, path, subject, **request)
            if operation.status not in {None, 503, 409}:
                return operation.job or None
            await asyncio.sleep(random_.uniform(0.05, 0.4))
        return None


def submission(random_: random.Random) -> dict[str, Any]:
    """70 % take milliseconds, 20 % a second, 8 % leave artifacts, 2 % misbehave."""
    roll = random_.random()
    if roll < 0.70:
        params: dict[str, Any] = {"seconds": random_.uniform(0.005, 0.05)}
    elif roll < 0.90:
        params = {"seconds": random_.uniform(0.3, 1.5), "steps": random_.choice([0, 0, 2, 4])}
    elif roll < 0.98:
        sizes = [100, 20_000, 400_000]
        params = {"artifacts": random_.randint(1, 3), "artifact_bytes": random_.choice(sizes)}
    else:
        params = {"misdeed": random_.choice(["crash", "hang", "binary", "binary", "fail"])}
    hangs = params.get("misdeed") == "hang"
    return {
        "model": "witness-v1",
        "params": params,
        "max_attempts": 2 if params.get("misdeed") else 3,
        "timeout_seconds": 2 if hangs else 30,
        "priority": random_.choice([0, 0, 0, 5]),
    }
