"""The worker: claims what its slots can run, keeps its leases alive, and stops without losing.

A thin supervisor on the event loop. It looks at the queues when it is woken and, whatever is
lost on the way to it, every few seconds by itself.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Final

import structlog

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.failpoints import reach
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store.claim import Claimed, ClaimRequest, Claims, Lease, claim
from usina.kernel.jobs.store.death import cut_leases_of_dead
from usina.kernel.jobs.store.ending import Taken, hand_back, rescue
from usina.kernel.jobs.store.lease import WorkerRow, forget_worker, heartbeat, release
from usina.kernel.telemetry import JOB_SECONDS, JOBS_FINISHED, JOBS_RESCUED
from usina.kernel.worker.attempt import Attempt, Workshop
from usina.kernel.worker.lender import Lender
from usina.kernel.worker.lookout import Lookout
from usina.kernel.worker.option import WorkerOptions
from usina.kernel.worker.pace import Pace
from usina.kernel.worker.program import Programs
from usina.kernel.worker.reporter import gathered

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_BEGIN_WITHIN_SECONDS: Final = 0.1
_TOLD_SECONDS: Final = 4.0
"""A program that was told is killed after three seconds."""
_ENDING_SECONDS: Final = 2.0


class Worker:
    """Runs jobs of its queues in its slots until stopped; takes none while it drains."""

    def __init__(self, workshop: Workshop, row: WorkerRow, options: WorkerOptions) -> None:
        self._shop = workshop
        self._row = replace(row, queues=options.queues)
        self._options = options
        self._pace = Pace()
        self._reports = gathered(workshop.database, workshop.bus)
        self._lender = Lender(
            *(options.machine, workshop.registry, workshop.pool, workshop.cards),
            self._room_came,
        )
        self._lookout = Lookout(
            *(workshop.registry, workshop.cards, options.gpu_seconds), self._abilities_changed
        )
        workshop.cards.changed = self._abilities_changed
        self._backlog: deque[Claimed] = deque()
        self._active: dict[str, tuple[Attempt, asyncio.Task[None]]] = {}
        self._cancelled: set[str] = set()
        self._programs = Programs(workshop.database, workshop.reuse, self.beat_now)
        self._releasing: asyncio.Task[None] | None = None
        self._wakeup = asyncio.Event()
        self._beat_now = asyncio.Event()
        self._looked: asyncio.Future[None] | None = None
        self._exhausted = False
        """The last look found no more than it took, and nothing was told since."""
        self._held_back = False
        """The last look passed by models that have no turn left."""
        self._loops: list[asyncio.Task[None]] = []
        self._claiming = asyncio.Lock()
        self._draining = self._stopping = False
        self._hurried = asyncio.Event()

    def wake(self, queue: str) -> None:
        """A queue has work: a hint that may be lost."""
        if queue in self._options.queues:
            self._wakeup.set()

    async def look(self, queue: str, seconds: float) -> None:
        """Wakes the worker and returns once it has looked with a slot free, at most so long."""
        self.wake(queue)
        if self._looked is None or self._looked.done():
            self._looked = asyncio.get_running_loop().create_future()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._looked)

    def beat_now(self) -> None:
        """Renews the leases at once: somebody may have cut them short."""
        self._beat_now.set()

    def cancel(self, job_id: str) -> None:
        """Tells the job's program, if it is ours: a hint, since heartbeats bring it too."""
        if job_id in self._active:
            self._active[job_id][0].stop.request()
        elif any(claimed.job.id == job_id for claimed in self._backlog):
            self._cancelled.add(job_id)

    def ask(self, worker_id: str) -> None:
        """Something is asked of a worker: a hint, since heartbeats bring it too."""
        if worker_id == self.id:
            self.beat_now()

    def forget(self, organization_id: str) -> None:
        """Lets warm programs of the organization leave, with all that is in their memory; those
        of others stay."""
        self._shop.pool.forget(organization_id)

    def load_ahead(self, name: str, owner: str | None) -> bool:
        """Loads a model's warm program before anybody asks; false where that can not be."""
        model = self._shop.registry.get(name)
        if model is None or not model.available or model.manifest.mode != "warm":
            return False
        if owner is None and not model.manifest.shared:
            return False
        self._shop.pool.ahead(model.manifest, owner or "", self._shop.cores_of(model.manifest))
        return True

    @property
    def id(self) -> str:
        return self._row.id

    @property
    def busy(self) -> int:
        """Jobs that are held here."""
        return len(self._active) + len(self._backlog)

    def alive(self) -> bool:
        """Whether every loop of the worker still turns."""
        return bool(self._loops) and not any(task.done() for task in self._loops)

    async def start(self, *, take_over: bool) -> None:
        """Begins to work. ``take_over`` says that no other worker can be alive: whatever runs
        by the database is taken back at once."""
        if take_over:
            await self._rescue(everything=True)
        await self._shop.cards.begin()
        await self._beat()
        loops: tuple[Callable[[], Coroutine[None, None, None]], ...] = (
            self._serve,
            self._beat_for_ever,
            self._rescue_for_ever,
            self._lookout.turn,
            self._programs.turn,
        )
        self._loops = [asyncio.create_task(_kept_alive(loop)) for loop in loops]

    async def stop(self) -> None:
        """Takes nothing new, gives back what has not begun, lets what runs go on for the grace;
        tells the rest to stop, so that it can save where it is, and hands it back.

        Its leases are renewed to the end. Killed meanwhile, its jobs are rescued as ever.
        """
        self._stopping = True
        await self._release_backlog()
        await self._until_idle(self._options.grace_seconds)
        for attempt, _ in self._active.values():
            attempt.interrupt()
        reach("stop.after_told")
        await self._until_idle(_TOLD_SECONDS)
        await self._kill_the_rest()
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._lender.close()
        await self._shop.database.write(lambda tx: forget_worker(tx, self._row.id))

    def hurry(self) -> None:
        """Cuts a stop short: what still runs is killed and handed back at once."""
        self._hurried.set()

    async def _until_idle(self, seconds: float) -> None:
        """Until nothing runs, the time is over, or the stop is hurried."""
        if not self._active:
            return
        running = [task for _, task in self._active.values()]
        ends: list[asyncio.Task[object]] = [
            asyncio.create_task(asyncio.wait(running)),
            asyncio.create_task(self._hurried.wait()),
        ]
        await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()

    async def _kill_the_rest(self) -> None:
        """Programs that did not end; an attempt that stores what its program made may end."""
        left = list(self._active.values())
        for attempt, task in left:
            if not attempt.ended:
                task.cancel()
        if left:
            await asyncio.wait([task for _, task in left], timeout=_ENDING_SECONDS)
        reach("stop.before_hand_back")
        await self._hand_back([attempt.claimed.lease for attempt, _ in left])

    async def _hand_back(self, leases: Sequence[Lease]) -> None:
        bus = self._shop.bus
        _count(await self._shop.database.write(lambda tx: hand_back(tx, leases, bus.announce)))

    @property
    def _taking(self) -> bool:
        return not (self._stopping or self._draining)

    async def _serve(self) -> None:
        while True:
            seconds = self._options.poll_seconds
            self._wakeup.clear()
            self._exhausted = False
            if self._lender.free.slots > 0 and not self._backlog and self._taking:
                claims = await asyncio.shield(self._claim())
                if self._looked is not None and not self._looked.done():
                    self._looked.set_result(None)
                self._exhausted = claims.exhausted and not self._held_back
                if claims.taken and not claims.exhausted:
                    continue
                if claims.next_due is not None:
                    now = await self._shop.database.read(lambda tx: tx.now)
                    seconds = min(seconds, max(0.0, (claims.next_due - now).total_seconds()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wakeup.wait()

    async def _claim(self) -> Claims:
        """Claims and begins in one unbroken step, so that a stop can not lose what was claimed."""
        bus = self._shop.bus
        await self._shop.quotas.learn()
        free, turns = self._lender.free, self._lender.turns
        at_most = {name for name, more in turns.items() if more <= 0}
        self._held_back = bool(at_most)
        request = ClaimRequest(
            worker_id=self._row.id,
            queues=self._options.queues,
            models=self._shop.registry.served() - at_most,
            turns=turns,
            free=free,
            capacity=self._lender.whole,
            most=free.slots * self._pace.batch(),
            small=self._pace.small(),
            lease=self._options.lease,
            warm=self._shop.pool.warm(),
            running_jobs=self._shop.quotas.running_jobs,
        )
        async with self._claiming:
            if not self._taking:
                return Claims([], exhausted=True, next_due=None)
            claims = await self._shop.database.write(lambda tx: claim(tx, request, bus.announce))
            reach("claim.after_commit")
            self._backlog.extend(claims.taken)
        self._begin()
        if self._backlog:
            loop = asyncio.get_running_loop()
            loop.call_later(_BEGIN_WITHIN_SECONDS, self._give_up_waiting, self._backlog[-1])
        return claims

    def _begin(self) -> None:
        """Starts what there is room for."""
        while self._backlog and self._taking:
            if not self._lender.has_room(self._backlog[0]):
                return
            claimed = self._backlog.popleft()
            attempt = Attempt(self._shop, claimed, self._reports, self._lender.lend(claimed))
            if claimed.job.id in self._cancelled:
                self._cancelled.discard(claimed.job.id)
                attempt.stop.request()
            task = asyncio.create_task(self._run(attempt))
            self._active[claimed.job.id] = (attempt, task)

    def _room_came(self) -> None:
        self._begin()
        if self._lender.free.slots > 0 and not self._exhausted:
            self._wakeup.set()

    def _abilities_changed(self) -> None:
        """What can run here is not what it was: told at once."""
        self._wakeup.set()
        self._beat_now.set()

    async def _run(self, attempt: Attempt) -> None:
        job = attempt.job
        loop = asyncio.get_running_loop()
        began = loop.time()

        def free_slot() -> None:
            seconds = loop.time() - began
            self._pace.record(job.model, seconds)
            JOB_SECONDS.labels(job.model).observe(seconds)
            self._lender.take_back(attempt.claimed, attempt.devices)
            self._room_came()

        try:
            if await attempt.go(free_slot) is Status.QUEUED:
                self._wakeup.set()
            if attempt.unavailable:
                self._lookout.ask(job.model)
            if attempt.interrupted:
                await self._hand_back([attempt.claimed.lease])
        finally:
            self._active.pop(job.id, None)

    def _give_up_waiting(self, last: Claimed) -> None:
        """Jobs that were claimed as small and still wait are better off with somebody else."""
        if self._backlog and last in self._backlog:
            self._releasing = asyncio.create_task(self._release_backlog())

    async def _release_backlog(self) -> None:
        """Gives back what has not begun, also what is being claimed at this moment."""
        async with self._claiming:
            waiting = [claimed.lease for claimed in self._backlog]
            self._backlog.clear()
            self._cancelled.clear()
        if waiting:
            announce = self._shop.bus.announce

            def unit(tx: Transaction) -> list[Taken]:
                release(tx, waiting, announce)
                return hand_back(tx, waiting, announce)

            _count(await self._shop.database.write(unit))
            self._wakeup.set()

    async def _beat_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.heartbeat_seconds):
                    await self._beat_now.wait()
            self._beat_now.clear()
            await self._beat()

    async def _beat(self) -> None:
        """Renews the leases; a job that is no longer ours is killed, a cancelled one told. Hears
        whether the worker is to drain."""
        held = dict(self._active)
        leases = [attempt.claimed.lease for attempt, _ in held.values()]
        leases.extend(claimed.lease for claimed in self._backlog)
        row = replace(
            self._row,
            room=self._lender.whole,
            models=self._shop.registry.reasons(),
            warm=sorted({model for model, _ in self._shop.pool.warm()}),
            gpus=self._shop.cards.told(),
            programs=self._programs.told,
        )
        standing = await self._shop.database.write(
            lambda tx: heartbeat(tx, row, leases, self._options.lease)
        )
        for job_id, (attempt, task) in held.items():
            if job_id in standing.cancelled:
                attempt.stop.request()
            elif job_id not in standing.held and not attempt.ended:
                _log.warning("lease lost", job_id=job_id, attempt=attempt.job.attempt)
                task.cancel()
        await self._drain(standing.draining)

    async def _drain(self, asked: bool) -> None:
        """Takes nothing more, or takes jobs again, as an operator asked."""
        if asked is self._draining:
            return
        self._draining = asked
        _log.info("worker drains" if asked else "worker takes jobs again", worker_id=self.id)
        if asked:
            await self._release_backlog()
        else:
            self._wakeup.set()

    async def _rescue_for_ever(self) -> None:
        while True:
            lease = self._options.lease.total_seconds()
            await asyncio.sleep(min(lease / 3, self._options.rescue_seconds))
            await self._shop.database.write(cut_leases_of_dead)
            await self._rescue(everything=False)

    async def _rescue(self, *, everything: bool) -> None:
        served = [*self._active, *(claimed.job.id for claimed in self._backlog)]
        bus = self._shop.bus
        rescued = await self._shop.database.write(
            lambda tx: rescue(tx, served, bus.announce, everything=everything)
        )
        if rescued:
            reach("rescue.after_commit")
            _count(rescued)
            JOBS_RESCUED.inc(len(rescued))
            _log.warning("jobs taken back from a lost worker", count=len(rescued))
            self._wakeup.set()


def _count(taken: Sequence[Taken]) -> None:
    """Those that a lost or stopped worker's end has ended for good."""
    for each in taken:
        if each.status.terminal:
            JOBS_FINISHED.labels(each.model, each.status.value).inc()


async def _kept_alive(loop: Callable[[], Coroutine[None, None, None]]) -> None:
    """Turns the loop again after an error, a little later: a worker must not go deaf."""
    while True:
        try:
            await loop()
        except Exception:
            _log.exception("worker loop broke; it turns again in a second")
            await asyncio.sleep(1)
