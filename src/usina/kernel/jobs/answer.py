"""Jobs that wait and that an earlier result will do for: answered at once, in nobody's turn."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

import structlog

from usina.kernel.db.batch import Batch
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.events.bus import Bus, end_topic
from usina.kernel.failpoints import reach
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.reuse import EarlierResults, ResultLost, recipe_for
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store.answer import Answer, answer, waiting_for_reuse
from usina.kernel.jobs.store.program import programs_of
from usina.kernel.jobs.store.source import SourceMissing, sources_of
from usina.kernel.registry import Registry
from usina.kernel.telemetry import JOBS_FINISHED

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_AT_ONCE: Final = 4
_MOST_A_TURN: Final = 20
_KNOWN_SECONDS: Final = 1.0
_LOST_SECONDS: Final = 60.0
"""So long a job is let be whose result could not be copied."""


class Answers:
    """Looks for earlier results of jobs that were just accepted, and in turn of all that wait.

    What a model's program is, it takes from what the workers tell. ``alive`` is how long a worker
    counts as there after its last heartbeat.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        registry: Registry,
        results: EarlierResults,
        alive: timedelta,
    ) -> None:
        self._database = database
        self._registry = registry
        self._results = results
        self._alive = alive
        self._programs: Mapping[str, str] = {}
        self._programs_until = 0.0
        self._under_way: set[str] = set()
        self._let_be: dict[str, float] = {}
        """Jobs with the moments until which nobody looks at them."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._few = asyncio.Semaphore(_AT_ONCE)
        self._after: str | None = None
        self._bus = bus
        self._writes = Batch(database.write, self._write)

    def may(self, job: Job) -> bool:
        """Whether the job may be answered so: its caller allows it, and its model."""
        model = self._registry.get(job.model) if job.reuse else None
        return model is not None and model.manifest.deterministic and not model.refused

    def look_soon(self, job: Job, otherwise: Callable[[], None]) -> None:
        """Answers a waiting job; ``otherwise`` is told once that was in vain."""

        async def look() -> None:
            if not await self._answered(job):
                otherwise()

        task = asyncio.get_running_loop().create_task(look())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def turn(self) -> None:
        """Looks at some of the jobs that wait, every time at the next ones: their answer may have
        come later than they, or the process that was about to look have gone."""
        after = self._after
        found = await self._database.read(lambda tx: waiting_for_reuse(tx, after, _MOST_A_TURN))
        self._after = found[-1].id if len(found) == _MOST_A_TURN else None
        now = asyncio.get_running_loop().time()
        self._let_be = {job_id: until for job_id, until in self._let_be.items() if until > now}
        wanted = [job for job in found if self.may(job) and job.id not in self._let_be]
        await asyncio.gather(*(self._answered(job) for job in wanted))

    async def close(self) -> None:
        """Leaves the rest to the next turn, or to whoever runs the job."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answered(self, job: Job) -> bool:
        """Whether the job was ended. What goes wrong here costs it nothing but its turn."""
        if job.id in self._under_way:
            return False
        self._under_way.add(job.id)
        try:
            async with self._few:
                return await self._answer(job)
        except ResultLost:
            self._let_be[job.id] = asyncio.get_running_loop().time() + _LOST_SECONDS
            return False
        except Exception:
            _log.exception("an earlier result could not be taken", job_id=job.id)
            return False
        finally:
            self._under_way.discard(job.id)

    async def _answer(self, job: Job) -> bool:
        """Copies that are written by nobody go at once. Where that is not known, since the write
        broke or nobody waits for it any more, they stay: a sweep takes those that no row names."""
        recipe = await self._recipe(job)
        copied = None if recipe is None else await self._results.copied(job, recipe)
        if copied is None:
            return False
        done = await self._writes.add(Answer(job, copied))
        reach("reuse.after_commit")
        if done:
            JOBS_FINISHED.labels(job.model, Status.SUCCEEDED.value).inc()
        else:
            await self._results.artifacts.discard(copied.artifacts)
        return done

    def _write(self, tx: Transaction, answers: Sequence[Answer]) -> list[bool]:
        bus = self._bus
        return answer(tx, answers, bus.announce, lambda job: bus.settle(end_topic(job.id), job))

    async def _recipe(self, job: Job) -> str | None:
        model = self._registry.get(job.model)
        identity = (await self._known()).get(job.model)
        if model is None or not identity:
            return None
        try:
            inputs = await self._database.read(
                lambda tx: sources_of(tx, job.organization_id, job.inputs),
                tenant=job.organization_id,
            )
        except SourceMissing:
            return None
        return recipe_for(job, model.manifest, identity, inputs)

    async def _known(self) -> Mapping[str, str]:
        """Once a second is enough to ask for what the workers tell."""
        now = asyncio.get_running_loop().time()
        if now >= self._programs_until:
            self._programs = await self._database.read(lambda tx: programs_of(tx, self._alive))
            self._programs_until = now + _KNOWN_SECONDS
        return self._programs
