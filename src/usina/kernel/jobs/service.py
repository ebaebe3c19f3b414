"""Jobs as the faces see them: submit, look, wait, cancel, reopen, delete."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, Protocol, TypeVar
from weakref import WeakValueDictionary

from usina.kernel.artifacts.service import Artifacts
from usina.kernel.db.batch import Batch
from usina.kernel.db.unit_of_work import Database, Transaction, Unit
from usina.kernel.errors import Invalid, NotFound
from usina.kernel.events.bus import Bus, end_topic
from usina.kernel.failpoints import reach
from usina.kernel.files.upload import Uploads
from usina.kernel.ids import is_id
from usina.kernel.jobs import checkpoint, log
from usina.kernel.jobs.answer import Answers
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.log import KeptLog, LogText
from usina.kernel.jobs.quota import JobQuotas
from usina.kernel.jobs.schedule.store import fire_due
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store import change, query
from usina.kernel.jobs.store.death import cut_leases_of_dead
from usina.kernel.jobs.store.ending import rescue
from usina.kernel.jobs.store.insert import insert_jobs
from usina.kernel.jobs.store.query import JobFilter
from usina.kernel.jobs.store.worker import Fleet, fleet, models_of_living, unserved
from usina.kernel.jobs.validation import Checked, Limits, check, input_ids, needs_of, resolve
from usina.kernel.page import Page
from usina.kernel.queue import QUEUES
from usina.kernel.registry import Model, Registry
from usina.kernel.telemetry import JOBS_FINISHED, JOBS_RESCUED, JOBS_SUBMITTED
from usina.kernel.tenancy.audit import Note, unnoted
from usina.kernel.tenancy.caller import Caller

T = TypeVar("T")
_RECHECK_SECONDS: Final = 5.0
_FLEET_SECONDS: Final = 1.0
Also = Callable[[Transaction, list[Job]], None]
"""What must be written together with a submit, such as its idempotency record."""


HandOver = Callable[[Transaction, str, str], None]
"""Puts aside what is still to be told outside of a job, before it changes or goes."""


class Dispatch(Protocol):
    """How workers hear of things. Every call is a hint: a lost one costs time, never a job."""

    def work(self, queue: str) -> None:
        """The queue has something to claim."""
        ...

    def cancel(self, job_id: str) -> None:
        """The running job is to stop."""
        ...


@dataclass(frozen=True, slots=True)
class _Submission:
    organization_id: str
    checked: Sequence[Checked]
    also: Also | None


class Jobs:
    """The service; ``alive`` is how long a worker counts as there after its last heartbeat."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        registry: Registry,
        artifacts: Artifacts,
        uploads: Uploads,
        dispatch: Dispatch,
        limits: Limits,
        alive: timedelta,
        quotas: JobQuotas,
        hand_over: HandOver,
        answers: Answers,
    ) -> None:
        self._database = database
        self._bus = bus
        self._registry = registry
        self._artifacts = artifacts
        self._uploads = uploads
        self._dispatch = dispatch
        self._limits = limits
        self._alive = alive
        self._quotas = quotas
        self._hand_over = hand_over
        self._answers = answers
        self._submissions = Batch(database.write, self._insert)
        self._lookups: WeakValueDictionary[str, Batch[str, Job | None]] = WeakValueDictionary()
        """By organization, for as long as somebody of it asks."""
        self._fleet: Fleet | None = None
        self._fleet_until = 0.0

    async def submit(
        self, caller: Caller, requests: Sequence[JobRequest], also: Also | None = None
    ) -> list[Job]:
        """Accepts the jobs in one commit, all or none; what returns is durable and QUEUED."""
        checked = [check(request, self._registry, self._limits) for request in requests]
        await self._quotas.look(caller.organization_id)
        await self._look_at_fleet()
        accepted = await self._accepted(_Submission(caller.organization_id, checked, also))
        reach("submit.after_commit")
        for job in accepted:
            JOBS_SUBMITTED.labels(job.model).inc()
        return accepted

    async def why_waiting(self, models: Sequence[Model]) -> dict[str, str]:
        """By name, what the living workers lack for jobs of a model, which would wait therefore;
        those that one can run are left out. At most a second old."""
        await self._look_at_fleet()
        if (now := self._fleet) is None:
            return {}
        lacks = {
            each.name: now.what_lacks(each.queue, each.name, needs_of(each)) for each in models
        }
        return {name: why for name, why in lacks.items() if why is not None}

    async def _look_at_fleet(self) -> None:
        """Once a second is enough to say why new jobs wait, and costs a busy platform nothing."""
        now = asyncio.get_running_loop().time()
        if now >= self._fleet_until:
            self._fleet_until = now + _FLEET_SECONDS
            self._fleet = await self._database.read(lambda tx: fleet(tx, self._alive))

    async def _accepted(self, submission: _Submission) -> list[Job]:
        """An input may have been sent past the platform, which then looks for it."""
        try:
            return await self._submissions.add(submission)
        except Invalid as refusal:
            ids = input_ids(submission.checked)
            lacking = refusal.code == "input_not_found"
            if not lacking or not await self._uploads.settle(submission.organization_id, ids):
                raise
            return await self._submissions.add(submission)

    def _insert(self, tx: Transaction, submissions: Sequence[_Submission]) -> list[list[Job]]:
        new = [resolve(tx, s.organization_id, s.checked) for s in submissions]
        every = [job for jobs in new for job in jobs]
        flat = self._quotas.tell(tx, insert_jobs(tx, every, self._bus.announce, self._fleet))
        self._quotas.keep_queue(tx, {s.organization_id for s in submissions})
        told = flat
        accepted: list[list[Job]] = []
        for submission, mine in zip(submissions, new, strict=True):
            jobs, flat = flat[: len(mine)], flat[len(mine) :]
            if submission.also is not None:
                submission.also(tx, jobs)
            accepted.append(jobs)
        tx.after_commit(lambda: self._tell(told))
        return accepted

    def _tell(self, new: Sequence[Job]) -> None:
        """At once after the commit, so that the word goes the same way as those of its events.

        Workers hear of a job that an earlier result may do for once it is known that none does.
        """
        for queue in {job.queue for job in new if not self._answers.may(job)}:
            self._dispatch.work(queue)
        for job in filter(self._answers.may, new):
            self._answers.look_soon(job, partial(self._dispatch.work, job.queue))

    async def answer_waiting(self) -> None:
        """Ends jobs that wait and that an earlier result does for."""
        await self._answers.turn()

    async def fire_schedules(self) -> None:
        """Makes the jobs of the schedules that are due, each fire exactly once."""

        def insert(tx: Transaction, organization_id: str, request: JobRequest) -> Job:
            checked = check(request, self._registry, self._limits)
            new = resolve(tx, organization_id, [checked])
            self._quotas.refuse_one_more(tx, organization_id)
            return insert_jobs(tx, new, self._bus.announce)[0]

        made = await self._database.write(lambda tx: fire_due(tx, insert))
        if made:
            reach("fire.after_commit")
        self._tell(made)
        for job in made:
            JOBS_SUBMITTED.labels(job.model).inc()

    async def take_back_lost(self) -> None:
        """Queues again what a lost worker held, in a process that holds nothing itself."""
        await self._database.write(cut_leases_of_dead)
        taken = await self._database.write(lambda tx: rescue(tx, (), self._bus.announce))
        if taken:
            reach("rescue.after_commit")
        for each in taken:
            if each.status.terminal:
                JOBS_FINISHED.labels(each.model, each.status.value).inc()
            else:
                self._dispatch.work(each.queue)
        JOBS_RESCUED.inc(len(taken))

    async def get(self, organization_id: str, job_id: str) -> Job:
        """The job whole. Those of one organization that are asked for together are read so."""
        if is_id(job_id):
            found = await self._lookup(organization_id).add(job_id)
            if found is not None:
                [told] = await self._quotas.told(organization_id, [found])
                return told
        raise NotFound

    def _lookup(self, organization_id: str) -> Batch[str, Job | None]:
        batch = self._lookups.get(organization_id)
        if batch is None:

            def look(tx: Transaction, job_ids: Sequence[str]) -> list[Job | None]:
                found = query.find_many(tx, organization_id, job_ids, self._alive)
                return [found.get(job_id) for job_id in job_ids]

            batch = self._lookups[organization_id] = Batch(
                partial(self._database.read, tenant=organization_id), look
            )
        return batch

    async def wait(self, organization_id: str, job_id: str, seconds: float) -> Job:
        """The job once it has ended, or as it is after ``seconds``."""
        with self._bus.listen(end_topic(job_id)) as listener:
            deadline = asyncio.get_running_loop().time() + seconds
            known = self._bus.is_unended(job_id, organization_id)
            while True:
                if not known:
                    job = await self.get(organization_id, job_id)
                    if job.status.terminal:
                        return job
                known = False
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0 or self._bus.closing:
                    return await self.get(organization_id, job_id)
                await listener.wait(min(left, _RECHECK_SECONDS))
                if isinstance(listener.settled, Job):
                    return listener.settled

    async def list(
        self, organization_id: str, wanted: JobFilter, after: str | None, limit: int
    ) -> Page[Job]:
        found = await self._database.read(
            lambda tx: query.page(tx, organization_id, wanted, after, limit + 1, self._alive),
            tenant=organization_id,
        )
        more = found[limit - 1].id if len(found) > limit else None
        return Page(tuple(await self._quotas.told(organization_id, found[:limit])), more)

    async def learn_models(self) -> None:
        """What can run is what can here and what some living worker can run."""
        told = await self._database.read(lambda tx: models_of_living(tx, self._alive))
        self._registry.learn(told)

    async def unserved(self) -> dict[tuple[str, str], str]:
        """By queue and model, why jobs wait that no living worker can run."""
        return await self._database.read(lambda tx: unserved(tx, QUEUES, self._alive))

    async def cancel(
        self, organization_id: str, job_id: str, note: Note = unnoted
    ) -> tuple[Status, Job]:
        """The state that the job was in, and the job."""

        def unit(tx: Transaction) -> Status:
            before = change.cancel(tx, organization_id, job_id, self._bus.announce)
            if not before.terminal:
                note(tx)
            return before

        before = await self._change(organization_id, job_id, unit)
        reach("cancel.after_commit")
        if before is Status.RUNNING:
            self._dispatch.cancel(job_id)
        job = await self.get(organization_id, job_id)
        if before is Status.QUEUED:
            JOBS_FINISHED.labels(job.model, Status.CANCELLED.value).inc()
        return before, job

    async def retry(self, organization_id: str, job_id: str, note: Note = unnoted) -> Job:
        """Reopens a failed or cancelled job."""
        await self._quotas.look(organization_id)

        def unit(tx: Transaction) -> str:
            self._hand_over(tx, organization_id, job_id)
            queue = change.reopen(tx, organization_id, job_id, self._bus.announce)
            self._quotas.keep_queue(tx, [organization_id])
            note(tx)
            return queue

        queue = await self._change(organization_id, job_id, unit)
        reach("reopen.after_commit")
        job = await self.get(organization_id, job_id)
        self._dispatch.work(queue)
        return job

    async def delete(self, organization_id: str, job_id: str, note: Note = unnoted) -> None:
        """Deletes an ended job, its events and its artifacts; then their bytes."""

        def unit(tx: Transaction) -> list[str]:
            self._hand_over(tx, organization_id, job_id)
            keys = self._artifacts.keys_of_jobs(tx, [job_id])
            keys += checkpoint.keys_of_jobs(tx, [job_id])
            change.delete(tx, organization_id, job_id)
            note(tx)
            return keys

        keys = await self._change(organization_id, job_id, unit)
        reach("delete.after_commit")
        await self._artifacts.delete_objects(keys)

    async def _change(self, organization_id: str, job_id: str, unit: Unit[T]) -> T:
        if not is_id(job_id):
            raise NotFound
        return await self._database.write(unit, tenant=organization_id)

    async def log(
        self, organization_id: str, job_id: str, attempt: int | None, offset: int, limit: int
    ) -> LogText:
        """Up to ``limit`` bytes of an attempt's output; the last attempt's unless told."""
        if not is_id(job_id):
            raise NotFound
        found = await self._database.read(
            lambda tx: log.read_log(tx, organization_id, job_id, attempt, offset, limit),
            tenant=organization_id,
        )
        if isinstance(found, LogText):
            return found
        return await self._kept_log(organization_id, found, offset, limit)

    async def _kept_log(
        self, organization_id: str, kept: KeptLog, offset: int, limit: int
    ) -> LogText:
        artifact = await self._artifacts.get(organization_id, kept.artifact_id)
        end = min(artifact.size_bytes, offset + limit)
        data = b""
        if offset < end:
            parts = self._artifacts.read(artifact, offset, end)
            data = b"".join([bytes(part) async for part in parts])
        return LogText(kept.attempt, offset, data, complete=end == artifact.size_bytes)

    async def wait_log(
        self,
        organization_id: str,
        job_id: str,
        attempt: int | None,
        offset: int,
        limit: int,
        seconds: float,
    ) -> LogText:
        """As :meth:`log`, but waits until there is something after ``offset`` or no more comes."""
        with self._bus.listen(job_id, log_topic(job_id)) as listener:
            deadline = asyncio.get_running_loop().time() + seconds
            while True:
                found = await self.log(organization_id, job_id, attempt, offset, limit)
                left = deadline - asyncio.get_running_loop().time()
                if found.data or found.complete or left <= 0 or self._bus.closing:
                    return found
                await listener.wait(min(left, _RECHECK_SECONDS))


def log_topic(job_id: str) -> str:
    """Woken when output of a running job was written."""
    return f"log:{job_id}"
