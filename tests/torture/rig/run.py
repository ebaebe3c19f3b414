"""One run: faults on, faults off, then the checks."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Final

from tests.torture.rig.checker import broken
from tests.torture.rig.cluster import Cluster
from tests.torture.rig.evidence import (
    Evidence,
    Followed,
    descriptors,
    end_strays,
    gather_rows,
    leaks_in,
    look_for_leftovers,
)
from tests.torture.rig.follower import Crowd
from tests.torture.rig.history import Caller, History
from tests.torture.rig.nemesis import Nemesis
from tests.torture.rig.plan import Plan
from tests.torture.rig.report import Report
from tests.torture.rig.witness import read_marks
from tests.torture.rig.workload import Workload

_LOOK_SECONDS: Final = 0.5
_CATCH_UP_SECONDS: Final = 25.0
_MORE_DESCRIPTORS: Final = 40
"""What a process may hold beyond what it began with: its pool, and what clients keep open."""

_QUEUE = """
SELECT count(*) FILTER (WHERE status IN ('QUEUED', 'RUNNING')) AS unfinished,
       coalesce(extract(epoch FROM clock_timestamp() - min(created_at)
           FILTER (WHERE status = 'QUEUED' AND available_at IS NULL AND attempt = 1)), 0)::float
           AS oldest
FROM jobs WHERE status IN ('QUEUED', 'RUNNING')
"""


@dataclass
class Run:
    plan: Plan

    def __post_init__(self) -> None:
        self.nemesis = Nemesis(self.plan)
        self.cluster = Cluster(self.plan, self.nemesis.died, self.nemesis.arm)
        self.history = History()
        self.evidence = Evidence()

    async def go(self) -> Report:
        began = time.monotonic()
        try:
            async with contextlib.AsyncExitStack() as parts:
                parts.push_async_callback(self.cluster.stop)
                await self.cluster.start()
                await self._safety_and_liveness()
                await self.cluster.stop_product()
                await self._gather()
        finally:
            self.nemesis.close()
            end_strays(str(self.cluster.witness))
        wrong = broken(self.evidence)
        seconds = time.monotonic() - began
        return Report.of(self.plan, self.evidence, self.nemesis, wrong, seconds)

    async def _safety_and_liveness(self) -> None:
        held_before = {api.name: descriptors(api.pid) for api in self.cluster.of("api")}
        callers = [
            Caller(made.organization_id, made.api_key, self.cluster.urls, self.history)
            for made in self.cluster.organizations
        ]
        workload = Workload(self.plan, callers)
        crowd = Crowd(self.plan, callers, self.history)
        workload.on_accepted.append(crowd.accepted)
        crowd.start()
        watching = asyncio.create_task(self._watch(workload))
        raging = asyncio.create_task(
            self.nemesis.rage(self.cluster, lambda: workload.submitted / self.plan.jobs)
        )
        await workload.run()
        await raging
        await self.nemesis.rest(self.cluster)
        self.evidence.calm_since = time.monotonic()
        self.evidence.drained = await self._drain(workload)
        await self._let_catch_up(crowd)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        self.evidence.followed = [
            Followed(f.organization, f.job, f.channel, f.seen, f.leak) for f in crowd.followers
        ]
        await crowd.stop()
        for caller in callers:
            await caller.close()
        self.evidence.given_up = workload.given_up
        await self._count_descriptors(max(held_before.values()))

    async def _watch(self, workload: Workload) -> None:
        while True:
            [row] = await self.cluster.query(_QUEUE)
            workload.unfinished = row["unfinished"]
            self.evidence.oldest_wait_seconds = max(
                self.evidence.oldest_wait_seconds, row["oldest"]
            )
            await asyncio.sleep(_LOOK_SECONDS)

    async def _drain(self, workload: Workload) -> bool:
        """Whether everything has ended in time, now that nothing breaks any more."""
        deadline = time.monotonic() + self.plan.drain_seconds
        while time.monotonic() < deadline:
            [row] = await self.cluster.query(_QUEUE)
            if row["unfinished"] == 0:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def _let_catch_up(self, crowd: Crowd) -> None:
        """Followers have a moment to see the end of the log."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        newest = await self.cluster.query(
            "SELECT DISTINCT ON (organization_id) organization_id::text, job_id::text, seq, type"
            " FROM events ORDER BY organization_id, position DESC"
        )
        ends = {row["organization_id"]: (row["job_id"], row["seq"], row["type"]) for row in newest}
        while time.monotonic() < deadline:
            behind = any(
                last != ends[name] for name, lasts in crowd.lasts().items() for last in lasts
            )
            if not behind and all(f.gone for f in crowd.followers if f.job is not None):
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _count_descriptors(self, before: int) -> None:
        """What the API processes hold once their clients are gone."""
        deadline = time.monotonic() + 10
        while True:
            held = {api.name: descriptors(api.pid) for api in self.cluster.of("api")}
            over = {name: n for name, n in held.items() if n > before + _MORE_DESCRIPTORS}
            if not over or time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        self.evidence.leftovers += [f"{n} descriptors of {name}" for name, n in over.items()]

    async def _gather(self) -> None:
        evidence = self.evidence
        evidence.leftovers += await look_for_leftovers(self.cluster)
        evidence.leaks_in_logs = leaks_in(self.cluster.logs)
        await gather_rows(self.cluster, evidence)
        evidence.marks = read_marks(self.cluster.witness)
        evidence.operations = self.history.operations
        evidence.deaths = self.nemesis.deaths
        evidence.clock_offset = time.time() - time.monotonic()
