"""Jobs that an earlier result does for are answered while they wait, on both engines."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.clock import FakeClock
from tests.databases import plan_of
from tests.jobs.make import ABLE, LEASE, MEMORY, NEW_JOB, organization, queue, silent, slots
from tests.runners.stage import make_runner
from usina.kernel.artifacts.service import Artifacts, NewArtifact
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.events.bus import Bus
from usina.kernel.events.table import events, outbox
from usina.kernel.ids import new_id
from usina.kernel.jobs.answer import Answers
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.reuse import EarlierResults, recipe_for
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import JobError
from usina.kernel.jobs.store import change, lane, query
from usina.kernel.jobs.store.claim import Claimed, claim
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.insert import insert_jobs
from usina.kernel.jobs.store.lease import WorkerRow, heartbeat
from usina.kernel.jobs.store.program import programs_of, remember
from usina.kernel.jobs.store.queue import set_paused
from usina.kernel.jobs.table import REUSING, jobs
from usina.kernel.registry import Registry, model_of
from usina.kernel.storage.folder import FolderStore

MODEL = "equal-v1"
SIZES = {"large.bin": 50_000, "larger.bin": 60_000, "small.json": 20}
RETRIED = ["job.queued", "job.running", "job.retrying"]
ENDED = ["job.running", *["job.artifact"] * 3, "job.succeeded"]


class Watched(FolderStore):
    """Does something else once so many copies are made, which waits for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._loop = asyncio.get_running_loop()
        self._copies = 0
        self._else: tuple[int, Callable[[], Coroutine[None, None, object]]] | None = None

    def meanwhile(self, copies: int, work: Callable[[], Coroutine[None, None, object]]) -> None:
        self._copies, self._else = 0, (copies, work)

    def copy(self, source: str, target: str) -> None:
        self._reached()
        super().copy(source, target)
        self._copies += 1
        self._reached()

    def _reached(self) -> None:
        if self._else is not None and self._else[0] == self._copies:
            work, self._else = self._else[1], None
            asyncio.run_coroutine_threadsafe(work(), self._loop).result(30)


@dataclass
class Lab:
    """One organization with an earlier success of ``MODEL``, and what answers its jobs."""

    database: Database
    store: Watched
    artifacts: Artifacts
    answers: Answers
    owner: str
    first: Job

    async def waiting(self, **fields: Any) -> Job:
        [job] = await queue(self.database, self.owner, model=MODEL, reuse=True, **fields)
        return job

    async def found(self, job: Job) -> Job:
        found = await self.database.read(lambda tx: query.find(tx, self.owner, job.id, LEASE))
        assert found is not None
        return found

    async def claimed(self) -> Claimed:
        """The next one, by a worker whose turn it is."""
        request = slots(1, models=frozenset({MODEL}))
        claims = await self.database.write(lambda tx: claim(tx, request, silent))
        return claims.taken[0]

    async def delete_first(self) -> None:
        """As the service does: the rows, then the objects."""

        def unit(tx: Transaction) -> list[str]:
            keys = self.artifacts.keys_of_jobs(tx, [self.first.id])
            change.delete(tx, self.owner, self.first.id)
            return keys

        await self.artifacts.delete_objects(await self.database.write(unit))

    async def objects(self) -> set[str]:
        return await self.store.run(lambda: {each.key for each in self.store.list("artifacts/")})

    async def types(self, job: Job) -> list[str]:
        """Of its events, which have no gap and end at the job's own count."""
        named = sa.select(events.c.seq, events.c.type).where(events.c.job_id == job.id)
        rows = await self.database.read(lambda tx: tx.execute(named.order_by(events.c.seq)).all())
        last = sa.select(jobs.c.last_seq).where(jobs.c.id == job.id)
        count = await self.database.read(lambda tx: tx.execute(last).scalar_one())
        assert [row.seq for row in rows] == list(range(1, count + 1))
        return [row.type for row in rows]

    async def miscounted(self) -> list[lane.Lane]:
        return await self.database.read(lane.miscounted)


@pytest.fixture
async def lab(database: Database, clock: FakeClock, tmp_path: Path) -> Lab:
    folder = tmp_path / "runners" / MODEL
    model = await model_of(make_runner(folder, "pass", more="deterministic = true"))
    registry = Registry([model])
    store = Watched(tmp_path / "store")
    artifacts = Artifacts(database, store, clock)
    results = EarlierResults(database, artifacts)
    answers = Answers(database, Bus(), registry, results, LEASE)
    owner = await organization(database)
    await database.write(lambda tx: remember(tx, {MODEL: "i"}))
    [job] = await queue(database, owner, model=MODEL)
    request = slots(1, models=frozenset({MODEL}))
    [claimed] = (await database.write(lambda tx: claim(tx, request, silent))).taken
    new: list[NewArtifact] = []
    for name, size in SIZES.items():
        (made := tmp_path / name).write_bytes(b"x" * size)
        new.append(NewArtifact(owner, job.id, 1, "data", name, made, tmp_path))
    recipe = recipe_for(job, model.manifest, "i", {})
    ending = Ending(claimed.lease, None, tuple(await artifacts.stage(new)), recipe=recipe)
    assert await database.write(lambda tx: finish(tx, [ending], 0, silent)) == ["SUCCEEDED"]
    return Lab(database, store, artifacts, answers, owner, job)


async def test_a_waiting_job_begins_and_ends_in_one_commit(lab: Lab) -> None:
    """And wherever in its lane it stood, ready or delayed."""
    delayed = await lab.waiting()
    claimed = await lab.claimed()
    again = Ending(claimed.lease, JobError.of("runner_failed", None, "Once more.", True))
    await lab.database.write(lambda tx: finish(tx, [again], 60, silent))
    ready = await lab.waiting(callback_url="http://127.0.0.1:9/told")
    await lab.answers.turn()
    ended: list[Job] = []
    for job, before in ((ready, ["job.queued"]), (delayed, RETRIED)):
        found = await lab.found(job)
        said = (found.status, found.reused_from, found.progress)
        assert said == ("SUCCEEDED", lab.first.id, 1.0)
        assert found.finished_at is not None
        assert {each.name: each.size_bytes for each in found.artifacts} == SIZES
        assert await lab.types(job) == [*before, *ENDED]
        ended.append(found)
    assert await lab.miscounted() == []
    told = sa.select(outbox.c.job_id, outbox.c.type)
    rows = await lab.database.read(lambda tx: tx.execute(told).all())
    assert [tuple(row) for row in rows] == [(ready.id, "job.succeeded")]
    assert await lab.objects() == await _named(lab, lab.first, *ended)


async def _named(lab: Lab, *of: Job) -> set[str]:
    """The objects that rows of these jobs name."""
    ids = [job.id for job in of]
    return set(await lab.database.read(lambda tx: lab.artifacts.keys_of_jobs(tx, ids)))


@pytest.mark.parametrize("copies", [0, 1])
async def test_a_first_job_that_goes_amid_the_copies_leaves_nothing_behind(
    lab: Lab, copies: int
) -> None:
    job = await lab.waiting()
    lab.store.meanwhile(copies, lab.delete_first)
    await lab.answers.turn()
    assert (await lab.found(job)).status == "QUEUED", "it will run"
    assert await lab.types(job) == ["job.queued"]
    assert await lab.objects() == set()
    assert (await lab.claimed()).job.id == job.id


async def test_a_first_job_that_goes_after_the_copies_takes_nothing_with_it(lab: Lab) -> None:
    job = await lab.waiting()
    lab.store.meanwhile(2, lab.delete_first)
    await lab.answers.turn()
    found = await lab.found(job)
    assert (found.status, found.reused_from) == ("SUCCEEDED", lab.first.id)
    assert {each.name for each in found.artifacts} == SIZES.keys()
    assert len(await lab.objects()) == 2
    assert await lab.objects() == await _named(lab, job)


async def test_a_job_that_went_on_meanwhile_is_left_alone(lab: Lab) -> None:
    async def taken(job: Job) -> None:
        assert (await lab.claimed()).job.id == job.id

    async def cancelled(job: Job) -> None:
        await lab.database.write(lambda tx: change.cancel(tx, lab.owner, job.id, silent))

    async def held_up(_: Job) -> None:
        await lab.database.write(lambda tx: set_paused(tx, "default", True))

    for meanwhile, then in ((taken, "RUNNING"), (cancelled, "CANCELLED"), (held_up, "QUEUED")):
        job = await lab.waiting()
        lab.store.meanwhile(2, partial(meanwhile, job))
        await lab.answers.turn()
        found = await lab.found(job)
        assert (found.status, found.artifacts, found.reused_from) == (then, (), None)
        assert await lab.objects() == await _named(lab, lab.first)
        assert await lab.miscounted() == []


async def test_a_process_that_leaves_amid_the_commit_leaves_it_whole(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, job = asyncio.get_running_loop(), await lab.waiting()
    closing: list[asyncio.Task[None]] = []

    def leave(_: str) -> None:
        loop.call_soon_threadsafe(lambda: closing.append(loop.create_task(lab.answers.close())))

    monkeypatch.setattr("usina.kernel.jobs.store.answer.reach", leave)
    lab.answers.look_soon(job, lambda: None)
    async with asyncio.timeout(30):
        while not (await lab.found(job)).status.terminal:
            await asyncio.sleep(0.01)
        while not closing:
            await asyncio.sleep(0.01)
        await closing[0]
    named = await lab.database.read(lambda tx: lab.artifacts.keys_of_jobs(tx, [job.id]))
    assert len(named) == 2
    assert set(named) <= await lab.objects()


async def test_only_who_may_be_answered_is(lab: Lab) -> None:
    """Not another organization, nor other work, nor one who did not allow it."""
    stranger = await organization(lab.database)
    new = replace(NEW_JOB, organization_id=lab.owner, model=MODEL, reuse=True)
    asked = [
        replace(new, organization_id=stranger),
        replace(new, params={"size": 2}),
        replace(new, reuse=False),
        replace(new, model_version="1", model="loaded"),
    ]
    await lab.database.write(lambda tx: insert_jobs(tx, asked, silent))
    await lab.answers.turn()
    waiting = sa.select(sa.func.count()).where(jobs.c.status == "QUEUED")
    assert await lab.database.read(lambda tx: tx.execute(waiting).scalar_one()) == len(asked)


async def test_the_living_say_what_the_program_is_and_who_differ_say_nothing(
    database: Database, clock: FakeClock
) -> None:
    async def beats(name: str, **programs: str) -> None:
        row = WorkerRow(ids[name], name, Room(1, MEMORY), ("default",), models=ABLE)
        told = replace(row, programs=programs)
        await database.write(lambda tx: heartbeat(tx, told, [], LEASE))
        if programs:
            await database.write(lambda tx: remember(tx, programs))

    async def known() -> str:
        found = await database.read(lambda tx: programs_of(tx, LEASE))
        return found.get("heavy", "nobody ever said")

    ids = {name: new_id() for name in ("one", "two")}
    assert await known() == "nobody ever said"
    await beats("one")
    assert await known() == "", "it has not looked yet"
    await beats("one", heavy="old")
    assert await known() == "old"
    await beats("two", heavy="new")
    assert await known() == "", "what one made is not what the other would make"
    await beats("one", heavy="new")
    assert await known() == "new"
    await beats("two", heavy="")
    assert await known() == "", "a program that was changed under its worker"
    await beats("two", heavy="newer")
    clock.advance(2 * LEASE.total_seconds())
    assert await known() == "newer", "with nobody left, what was told last"


async def test_who_waits_for_a_result_is_found_without_looking_at_the_others(
    database: Database,
) -> None:
    query = sa.select(jobs.c.id).where(REUSING).order_by(jobs.c.id)
    plan = await database.read(lambda tx: plan_of(tx, query))
    assert "ix_jobs_reusing" in plan
