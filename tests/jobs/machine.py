"""The store of jobs as a state machine: any order of submits, claims, crashes and time.

A model beside the database says what must be true; every rule compares. Failures shrink to a
short story of what happened.
"""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, TypeVar

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from tests.clock import FakeClock
from tests.databases import DATABASES
from tests.jobs.make import claim_now, slots
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict
from usina.kernel.events.event import JOB_TERMINAL_TYPES
from usina.kernel.events.log import read_after
from usina.kernel.ids import new_id
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import MAX_LOST, TRANSITIONS, JobError, Status
from usina.kernel.jobs.store import change
from usina.kernel.jobs.store.answer import Answer, answer
from usina.kernel.jobs.store.claim import Claimed, Lease
from usina.kernel.jobs.store.ending import Ending, finish, hand_back, rescue
from usina.kernel.jobs.store.insert import NewJob, insert_jobs
from usina.kernel.jobs.store.lane import miscounted
from usina.kernel.jobs.store.lease import WorkerRow, heartbeat
from usina.kernel.jobs.store.query import find
from usina.kernel.jobs.store.reuse import Copied
from usina.kernel.jobs.table import jobs
from usina.kernel.tenancy.table import organizations

T = TypeVar("T")
LEASE = timedelta(seconds=30)
WORKERS = tuple(WorkerRow(new_id(), f"worker {n}", Room(2, 1024), ("default",)) for n in range(2))


@dataclass
class Expected:
    """What the model knows of a job."""

    organization_id: str
    priority: int
    status: Status = Status.QUEUED
    attempt: int = 1
    max_attempts: int = 3
    lost: int = 0
    cancel: bool = False
    lease: Lease | None = None
    worker: int | None = None
    path: list[Status] = field(default_factory=lambda: [Status.QUEUED])

    def to(self, status: Status) -> None:
        assert status in TRANSITIONS[self.status], f"{self.status} -> {status}"
        self.status = status
        self.path.append(status)
        if status is not Status.RUNNING:
            self.lease = self.worker = None


class JobStore(RuleBasedStateMachine):
    """Two organizations, two workers, one store."""

    engine: ClassVar[str]
    played: ClassVar[int] = 0
    held = Bundle("held")
    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self.clock = FakeClock()
        self.jobs: dict[str, Expected] = {}
        self.organizations = [new_id(), new_id()]

    @initialize()
    def open(self) -> None:
        opened = DATABASES[self.engine](Path(self.folder.name), self.clock)
        self.database = self.runner.run(self.stack.enter_async_context(opened))
        rows = [{"id": o, "name": o, "created_at": self.clock.now()} for o in self.organizations]
        self.write(lambda tx: tx.execute(sa.insert(organizations), rows).rowcount)

    def teardown(self) -> None:
        type(self).played += 1
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def write(self, unit: Callable[[Transaction], T]) -> T:
        return self.runner.run(self.database.write(unit))

    @rule(
        target=known,
        owner=st.integers(0, 1),
        priority=st.integers(-2, 2),
        max_attempts=st.integers(1, 3),
    )
    def submit(self, owner: int, priority: int, max_attempts: int) -> str:
        organization_id = self.organizations[owner]
        new = NewJob(
            organization_id=organization_id,
            model="echo-v1",
            model_version="1",
            queue="default",
            needs=Room(1, 1024),
            params={},
            inputs={},
            references=(),
            labels={"a": "b"},
            priority=priority,
            max_attempts=max_attempts,
            timeout_seconds=60,
        )
        [job] = self.write(lambda tx: insert_jobs(tx, [new], _silent))
        self.jobs[job.id] = Expected(organization_id, priority, max_attempts=max_attempts)
        return job.id

    @rule(target=held, worker=st.integers(0, 1))
    def claim_one(self, worker: int) -> tuple[int, Claimed] | None:
        claimed = self._claim(worker, 1)
        return (worker, claimed[0]) if claimed else None

    @rule(worker=st.integers(0, 1), most=st.integers(2, 5))
    def claim_many_and_crash(self, worker: int, most: int) -> None:
        """A worker takes several and dies: nobody holds these leases."""
        self._claim(worker, most)

    def _claim(self, worker: int, most: int) -> list[Claimed]:
        request = slots(most, worker=WORKERS[worker].id)
        claimed = self.write(lambda tx: claim_now(tx, request)).taken
        for item in claimed:
            expected = self.jobs[item.job.id]
            expected.to(Status.RUNNING)
            assert item.job.attempt == expected.attempt
            expected.lease, expected.worker = item.lease, worker
        if len(claimed) < most:
            assert not self._claimable(), "a claimable job was passed over"
        return claimed

    def _claimable(self) -> list[str]:
        query = sa.select(jobs.c.id).where(jobs.c.status == "QUEUED", jobs.c.available_at.is_(None))
        return list(self.write(lambda tx: tx.execute(query).scalars().all()))

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0, 40.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(worker=st.integers(0, 1))
    def beat(self, worker: int) -> None:
        """Leases that a worker shows stand exactly when the model says that they are its own."""
        mine = {i: e for i, e in self.jobs.items() if e.worker == worker and e.lease}
        leases = [e.lease for e in mine.values() if e.lease]
        ghost = Lease(next(iter(self.jobs), new_id()), 1, new_id())
        standing = self.write(lambda tx: heartbeat(tx, WORKERS[worker], [*leases], LEASE))
        assert standing.held == frozenset(mine)
        assert standing.cancelled == frozenset(i for i, e in mine.items() if e.cancel)
        if ghost.job_id not in mine:
            found = self.write(lambda tx: heartbeat(tx, WORKERS[worker], [ghost], LEASE))
            assert not found.held

    @rule(item=consumes(held))
    def finish_well(self, item: tuple[int, Claimed] | None) -> None:
        self._finish(item, None)

    @rule(item=held, retryable=st.booleans())
    def finish_badly(self, item: tuple[int, Claimed] | None, retryable: bool) -> None:
        self._finish(item, JobError.of("runner_failed", None, "no", retryable))

    def _finish(self, item: tuple[int, Claimed] | None, error: JobError | None) -> None:
        if item is None:
            return
        lease = item[1].lease
        expected = self.jobs.get(lease.job_id)
        [status] = self.write(lambda tx: finish(tx, [Ending(lease, error)], 1.0, _silent))
        if expected is None or expected.lease != lease:
            assert status is None, "a lost lease wrote"
            return
        if expected.cancel:
            wanted = Status.CANCELLED
        elif error is None:
            wanted = Status.SUCCEEDED
        elif error.retryable and expected.attempt < expected.max_attempts:
            wanted = Status.QUEUED
        else:
            wanted = Status.FAILED
        assert status is wanted
        expected.to(wanted)
        expected.attempt += wanted is Status.QUEUED

    @rule(item=consumes(held))
    def stop_worker(self, item: tuple[int, Claimed] | None) -> None:
        if item is None:
            return
        lease = item[1].lease
        expected = self.jobs.get(lease.job_id)
        returned = self.write(lambda tx: hand_back(tx, [lease], _silent))
        assert bool(returned) == (expected is not None and expected.lease == lease)
        if expected and returned:
            self._given_back(expected, lost=0)
            assert [one.status for one in returned] == [expected.status]

    @rule(everything=st.booleans())
    def look_for_lost(self, everything: bool) -> None:
        """Only expired leases are rescued, unless it is known that nobody lives."""
        query = sa.select(jobs.c.id).where(jobs.c.status == "RUNNING")
        if not everything:
            query = query.where(jobs.c.lease_expires_at < self.clock.now())
        lost = list(self.write(lambda tx: tx.execute(query).scalars().all()))
        taken = self.write(lambda tx: rescue(tx, [], _silent, everything=everything))
        for job_id in lost:
            expected = self.jobs[job_id]
            if expected.lost >= MAX_LOST:
                expected.to(Status.CANCELLED if expected.cancel else Status.FAILED)
            else:
                self._given_back(expected, lost=1)
        found = sorted(one.status for one in taken)
        assert found == sorted(self.jobs[job_id].status for job_id in lost)

    def _given_back(self, expected: Expected, *, lost: int) -> None:
        expected.to(Status.CANCELLED if expected.cancel else Status.QUEUED)
        if expected.status is Status.QUEUED:
            expected.attempt += 1
            expected.max_attempts += 1
            expected.lost += lost

    @rule(job_id=known)
    def answer(self, job_id: str) -> None:
        """An earlier result does for it, if it still waits."""
        expected = self.jobs.get(job_id)
        if expected is None:
            return
        owner = expected.organization_id
        job = self.write(lambda tx: find(tx, owner, job_id, LEASE))
        assert job is not None
        copied = Answer(job, Copied(job, (), "0" * 64))
        [ended] = self.write(lambda tx: answer(tx, [copied], _silent, _silent))
        assert ended == (expected.status is Status.QUEUED)
        if ended:
            expected.to(Status.RUNNING)
            expected.to(Status.SUCCEEDED)

    @rule(job_id=known)
    def cancel(self, job_id: str) -> None:
        expected = self.jobs.get(job_id)
        if expected is None:
            return
        owner = expected.organization_id
        before = self.write(lambda tx: change.cancel(tx, owner, job_id, _silent))
        assert before is expected.status
        if before is Status.QUEUED:
            expected.to(Status.CANCELLED)
        elif before is Status.RUNNING:
            expected.cancel = True

    @rule(job_id=known)
    def reopen(self, job_id: str) -> None:
        expected = self.jobs.get(job_id)
        if expected is None:
            return
        allowed = expected.status in {Status.FAILED, Status.CANCELLED}
        try:
            self.write(lambda tx: change.reopen(tx, expected.organization_id, job_id, _silent))
        except Conflict:
            assert not allowed
            return
        assert allowed
        expected.to(Status.QUEUED)
        expected.attempt += 1
        expected.max_attempts = max(expected.max_attempts, expected.attempt)
        expected.lost, expected.cancel = 0, False

    @rule(job_id=known)
    def delete(self, job_id: str) -> None:
        expected = self.jobs.get(job_id)
        if expected is None:
            return
        try:
            self.write(lambda tx: change.delete(tx, expected.organization_id, job_id))
        except Conflict:
            assert not expected.status.terminal
            return
        assert expected.status.terminal
        del self.jobs[job_id]

    @invariant()
    def rows_agree(self) -> None:
        for job_id, expected in self.jobs.items():
            owner = expected.organization_id
            job = self.write(lambda tx, o=owner, i=job_id: find(tx, o, i, LEASE))
            assert job is not None
            assert (job.status, job.attempt, job.max_attempts) == (
                expected.status,
                expected.attempt,
                expected.max_attempts,
            )
            assert (job.error is None) == (job.status not in {Status.FAILED, Status.CANCELLED})
            assert (job.finished_at is not None) == job.status.terminal

    @invariant()
    def lanes_count_what_waits(self) -> None:
        assert self.write(miscounted) == []

    @invariant()
    def logs_tell_the_story(self) -> None:
        """``seq`` has no gap, and the terminal events are exactly the endings."""
        for job_id, expected in self.jobs.items():
            owner = expected.organization_id
            events = self.write(lambda tx, o=owner, i=job_id: read_after(tx, o, i, None, 10_000))
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert events[0].type == "job.queued"
            endings = [event for event in events if event.type in JOB_TERMINAL_TYPES]
            assert len(endings) == sum(status.terminal for status in expected.path)
            assert (events[-1].type in JOB_TERMINAL_TYPES) == expected.status.terminal
            assert [e.type for e in events].count("job.running") == expected.path.count(
                Status.RUNNING
            )


def _silent(_: object) -> None:
    """Nobody listens to the bus here."""


class JobStoreOnPostgresql(JobStore):
    engine = "postgresql"


class JobStoreOnSqlite(JobStore):
    engine = "sqlite"
