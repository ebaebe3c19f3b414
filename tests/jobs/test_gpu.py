"""Claims and ends of jobs that need GPUs of some size, on both engines."""

from dataclasses import replace

import pytest

from tests.jobs.make import (
    ABLE,
    LEASE,
    MEMORY,
    claim_now,
    organization,
    queue,
    silent,
    slots,
)
from usina.kernel.db.unit_of_work import Database
from usina.kernel.ids import new_id
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.state import JobError, Status
from usina.kernel.jobs.store.claim import ClaimRequest
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.lease import WorkerRow, heartbeat
from usina.kernel.jobs.store.worker import Ability, Fleet

GIB = 1024**3
NO_MEMORY = JobError.of("out_of_memory", "gpu", "The GPU had not enough memory.", False)


def worker_with(gpu_memory_bytes: int) -> ClaimRequest:
    room = Room(4, 1024 * MEMORY, 1, gpu_memory_bytes)
    return replace(slots(4), free=room, capacity=room)


async def test_a_job_is_left_to_a_worker_whose_gpu_is_large_enough(database: Database) -> None:
    owner = await organization(database)
    [job] = await queue(database, owner, needs=Room(1, MEMORY, 1, 24 * GIB))
    for size, taken in ((16 * GIB, []), (24 * GIB, [job.id])):
        request = worker_with(size)
        claims = await database.write(lambda tx, r=request: claim_now(tx, r))
        assert [claimed.job.id for claimed in claims.taken] == taken
        assert claims.exhausted or taken


async def test_after_too_little_memory_only_a_larger_gpu_is_tried(database: Database) -> None:
    owner = await organization(database)
    for larger in (False, True):
        if larger:
            room = Room(4, MEMORY, 1, 80 * GIB)
            there = WorkerRow(new_id(), "large", room, ("default",), models=ABLE)
            await database.write(lambda tx, w=there: heartbeat(tx, w, [], LEASE))
        [job] = await queue(database, owner, needs=Room(1, MEMORY, 1))
        claims = await database.write(lambda tx: claim_now(tx, worker_with(16 * GIB)))
        [claimed] = claims.taken
        ending = Ending(claimed.lease, NO_MEMORY, gpu_memory_bytes=16 * GIB)
        states = await database.write(lambda tx, e=ending: finish(tx, [e], 0, silent))
        assert states == [Status.QUEUED if larger else Status.FAILED]
    same = await database.write(lambda tx: claim_now(tx, worker_with(16 * GIB)))
    assert same.taken == []
    claims = await database.write(lambda tx: claim_now(tx, worker_with(80 * GIB)))
    assert [claimed.job.id for claimed in claims.taken] == [job.id]


async def test_of_a_model_with_turns_no_more_begin_than_it_has(database: Database) -> None:
    owner = await organization(database)
    busy = await queue(database, owner, 3, model="heavy")
    [other] = await queue(database, owner)
    request = replace(slots(4), turns={"heavy": 1})
    claims = await database.write(lambda tx: claim_now(tx, request))
    assert [claimed.job.id for claimed in claims.taken] == [busy[0].id, other.id]
    assert not claims.exhausted


@pytest.mark.parametrize(
    ("needs", "model", "says"),
    [
        (Room(1, MEMORY, 1, 24 * GIB), "echo-v1", None),
        (Room(8, MEMORY), "echo-v1", None),
        (Room(1, MEMORY), "other-v1", "no worker of its queue can run its program"),
        (Room(1, MEMORY, 2), "echo-v1", "it takes 2 GPU and no worker has more than 1 in service"),
        (
            *(Room(1, MEMORY, 1, 80 * GIB), "echo-v1"),
            "it takes a GPU with 80.0 GiB and the largest in service has 24.0 GiB",
        ),
        (
            *(Room(1, 64 * GIB), "echo-v1"),
            "it takes 64.0 GiB of memory and no worker has over 32.0 GiB",
        ),
        (Room(1, 32 * GIB, 1), "echo-v1", "the GPUs and the memory that it takes together"),
    ],
)
def test_what_the_workers_lack_for_a_job_is_said(needs: Room, model: str, says: str | None) -> None:
    rooms = (Room(4, 16 * GIB, 1, 24 * GIB), Room(4, 32 * GIB))
    able = (Ability(frozenset({"gpu"}), frozenset({"echo-v1"}), room) for room in rooms)
    fleet = Fleet(tuple(able), frozenset())
    why = fleet.what_lacks("gpu", model, needs)
    assert why is None if says is None else says in str(why)
    assert (fleet.why_waits("gpu", model, needs) == "no_worker") is (why is not None)
    assert fleet.what_lacks("io", model, needs) == "no worker takes from the queue 'io'"
