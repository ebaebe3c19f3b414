"""What happens by the clock: schedules fire, what is old goes, orphans are swept, queues measured.

Every turn is safe to repeat and safe to be killed in: the database decides what was done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from usina.kernel.artifacts.service import Artifacts
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.events.log import forget_before
from usina.kernel.events.month import drop_month, lacking, open_months
from usina.kernel.idempotency.service import Idempotency
from usina.kernel.jobs.retention import forget_ended_before, months_over
from usina.kernel.jobs.schedule.store import next_due
from usina.kernel.jobs.service import Jobs
from usina.kernel.jobs.store import lane
from usina.kernel.jobs.store.queue import depths
from usina.kernel.jobs.store.worker import forget_unseen_workers
from usina.kernel.queue import QUEUES
from usina.kernel.telemetry import (
    MODEL_UNSERVED,
    QUEUE_DEPTH,
    QUEUE_OLDEST,
    WEBHOOKS_PENDING,
)
from usina.kernel.tenancy.retention import own_ages
from usina.kernel.tenancy.session import forget_over
from usina.kernel.webhooks.attempt import count_pending
from usina.kernel.webhooks.delivery import forget_before as forget_deliveries

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_BATCH: Final = 500


Turn = tuple[Callable[[], Awaitable[None]], float]
"""What is done, and how many seconds lie between."""

_NO_TURNS: Final[Mapping[str, Turn]] = {}


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each class is kept; null is for ever."""

    jobs: timedelta | None
    events: timedelta | None
    deliveries: timedelta | None = None


class Beat:
    """The clockwork of one platform; two of them do no harm."""

    def __init__(
        self,
        database: Database,
        jobs: Jobs,
        artifacts: Artifacts,
        idempotency: Idempotency,
        sweep: Callable[[], Awaitable[None]],
        retention: Retention,
        rooms: Mapping[str, Turn] = _NO_TURNS,
    ) -> None:
        """``rooms`` are the turns that the rooms bring."""
        self._database = database
        self._jobs = jobs
        self._artifacts = artifacts
        self._idempotency = idempotency
        self._sweep = sweep
        self._retention = retention
        self._unserved: set[tuple[str, str]] = set()
        self._rooms = rooms
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def measures(self) -> Mapping[str, Turn]:
        """What every process that shows metrics does for itself."""
        return {
            "measure_queues": (self.measure_queues, 5.0),
            "measure_webhooks": (self.measure_webhooks, 5.0),
        }

    @property
    def turns_of_faces(self) -> Mapping[str, Turn]:
        """What a process without a worker of its own does for itself."""
        return {"learn_models": (self._jobs.learn_models, 2.0), **self.measures}

    @property
    def turns(self) -> Mapping[str, Turn]:
        """All that one process has to do for the platform."""
        return {
            "fire_schedules": (self.fire_schedules, 1.0),
            "answer_waiting": (self._jobs.answer_waiting, 1.0),
            "tell_unserved": (self.tell_unserved, 30.0),
            "count_lanes": (self.count_lanes, 600.0),
            "forget_old": (self.forget_old, 600.0),
            "sweep": (self._sweep, 3600.0),
            **self._rooms,
            **self.measures,
        }

    @property
    def turns_for_many(self) -> Mapping[str, Turn]:
        """All of it where there are many processes, any of which may be lost."""
        shared: dict[str, Turn] = {
            "take_back_lost": (self._jobs.take_back_lost, 1.0),
            "open_months": (self.open_months, 3600.0),
        }
        return shared | dict(self.turns_of_faces) | dict(self.turns)

    def start(self, turns: Mapping[str, Turn]) -> None:
        """Begins to turn; ``stop`` ends it."""
        self._tasks = [
            asyncio.create_task(_turn_for_ever(turn, seconds)) for turn, seconds in turns.values()
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def fire_schedules(self) -> None:
        """Makes the jobs of every schedule that is due."""

        def is_due(tx: Transaction) -> bool:
            due = next_due(tx)
            return due is not None and due <= tx.now

        if await self._database.read(is_due):
            await self._jobs.fire_schedules()

    async def measure_queues(self) -> None:
        found, now = await self._database.read(lambda tx: (depths(tx), tx.now))
        waiting = {depth.queue: depth for depth in found}
        for queue in QUEUES:
            depth = waiting.get(queue)
            QUEUE_DEPTH.labels(queue).set(depth.depth if depth else 0)
            since = depth.oldest if depth else None
            QUEUE_OLDEST.labels(queue).set((now - since).total_seconds() if since else 0)

    async def measure_webhooks(self) -> None:
        WEBHOOKS_PENDING.set(await self._database.read(count_pending))

    async def tell_unserved(self) -> None:
        """Says of each model that jobs wait for and no living worker can run, once, and why."""
        found = await self._jobs.unserved()
        for (queue, model), reason in found.items():
            MODEL_UNSERVED.labels(queue, model).set(1)
            if (queue, model) not in self._unserved:
                _log.error("no worker can run what waits", queue=queue, model=model, reason=reason)
        for queue, model in self._unserved - found.keys():
            MODEL_UNSERVED.remove(queue, model)
        self._unserved = set(found)

    async def count_lanes(self) -> None:
        """Puts lanes right whose counts were made wrong by hand, so that no job waits for ever."""
        for one in await self._database.read(lane.miscounted):
            _log.error("a lane was miscounted", queue=one.queue, organization=one.organization_id)
            await self._database.write(lambda tx, o=one: lane.count_anew(tx, o))

    async def open_months(self) -> None:
        """The log has a place for the events of the months that come."""
        if wanted := await self._database.read(lacking):
            await self._database.write(lambda tx: open_months(tx, wanted))

    async def forget_old(self) -> None:
        """Retention by class: jobs with all of theirs, events of no job, replies to repeats."""
        await self._idempotency.forget_expired()
        await self._database.write(forget_unseen_workers)
        while await self._database.write(forget_over):
            pass
        if self._retention.jobs is not None:
            await self._forget_jobs(self._retention.jobs)
        if self._retention.events is not None:
            age = self._retention.events
            while await self._database.write(lambda tx: forget_before(tx, tx.now - age, _BATCH)):
                pass
        if self._retention.deliveries is not None:
            old = self._retention.deliveries
            while await self._database.write(
                lambda tx: forget_deliveries(tx, tx.now - old, _BATCH)
            ):
                pass
        await self._forget_sooner()

    async def _forget_sooner(self) -> None:
        """What organizations keep for a shorter time than the platform does."""
        for owner, age in (await self._database.read(lambda tx: own_ages(tx, "jobs_days"))).items():
            await self._forget_jobs_of(owner, age)
        for owner, age in (
            await self._database.read(lambda tx: own_ages(tx, "events_days"))
        ).items():
            forget = partial(_forget_events_of, owner=owner, age=age)
            while await self._database.write(forget):
                pass

    async def _forget_jobs_of(self, owner: str, age: timedelta) -> None:
        def unit(tx: Transaction) -> tuple[int, list[str]]:
            keys_of = self._artifacts.keys_of_jobs
            return forget_ended_before(tx, tx.now - age, _BATCH, keys_of, of=owner)

        while (found := await self._database.write(unit))[0]:
            await self._artifacts.delete_objects(found[1])
            _log.info("old jobs of an organization deleted", count=found[0], organization=owner)

    async def _forget_jobs(self, age: timedelta) -> None:
        """Where all jobs of a month go, its events go at once, after them."""
        over = await self._database.read(lambda tx: months_over(tx, tx.now - age))

        def unit(tx: Transaction) -> tuple[int, list[str]]:
            moment: datetime = tx.now - age
            return forget_ended_before(tx, moment, _BATCH, self._artifacts.keys_of_jobs, over)

        while (found := await self._database.write(unit))[0]:
            gone, keys = found
            await self._artifacts.delete_objects(keys)
            _log.info("old jobs deleted", count=gone)
        for month in over:
            if await self._database.write(partial(drop_month, month=month)):
                _log.info("a month of events dropped", month=month.name)


def _forget_events_of(tx: Transaction, owner: str, age: timedelta) -> int:
    return forget_before(tx, tx.now - age, _BATCH, of=owner)


async def _turn_for_ever(turn: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        try:
            await turn()
        except Exception:
            _log.exception("a turn of the beat broke")
        await asyncio.sleep(seconds)
