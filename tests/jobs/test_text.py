"""Texts with U+0000, which one engine would keep and the other refuse: the same on both."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.jobs.make import LEASE, organization, queue, silent, take
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Invalid
from usina.kernel.jobs.job import JobRequest
from usina.kernel.jobs.schedule.rule import Rule
from usina.kernel.jobs.schedule.store import Plan
from usina.kernel.jobs.state import JobError
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.lease import Chunk, Step, append_log, record_steps
from usina.kernel.jobs.store.query import find
from usina.kernel.jobs.validation import Limits, check
from usina.kernel.registry import Registry, discover_apps, load_registry
from usina.kernel.runners.protocol import Error, Progress, parse
from usina.kernel.tenancy.service import Tenancy

NUL = "a\0b"


@pytest.fixture
async def registry() -> Registry:
    return await load_registry(discover_apps("usina.apps"), ())


@pytest.mark.parametrize(
    ("labels", "pointer"),
    [({NUL: "value"}, "/labels"), ({"key": NUL}, "/labels/key")],
)
async def test_labels_are_refused_with_their_place(
    registry: Registry, labels: Mapping[str, str], pointer: str
) -> None:
    with pytest.raises(Invalid, match=r"U\+0000") as refusal:
        check(JobRequest("echo-v1", labels=labels), registry, Limits(60))
    assert refusal.value.errors[0].pointer == pointer


async def test_names_are_refused_before_anything_is_written(database: Database) -> None:
    with pytest.raises(Invalid, match="all of them to be seen"):
        Plan(NUL, JobRequest("echo-v1"), Rule(every_seconds=60)).check()
    with pytest.raises(Invalid, match=r"U\+0000"):
        await Tenancy(database).create_organization(NUL)


async def test_what_a_program_tells_is_kept_without_it(database: Database) -> None:
    owner = await organization(database)
    params: dict[str, Any] = {"text": NUL}
    [job] = await queue(database, owner, params=params)
    [claimed] = await take(database)
    step = parse(b'{"type":"progress","progress":0.5,"stage":"a\\u0000b"}')
    told = parse(
        b'{"type":"error","code":"runner_failed","reason":"c\\u0000d","message":"\\u0000"}'
    )
    assert isinstance(step, Progress)
    assert isinstance(told, Error)
    steps = [Step(claimed.lease, step.fraction, step.stage)]
    await database.write(lambda tx: record_steps(tx, steps, silent))
    await database.write(lambda tx: append_log(tx, [Chunk(claimed.lease, 0, b"a\0b")]))
    running = await database.read(lambda tx: find(tx, owner, job.id, LEASE))
    assert running is not None
    assert (running.stage, running.params) == ("ab", params)
    failed = Ending(
        claimed.lease, JobError.of(told.code, told.reason, NUL, False), stage=step.stage
    )
    await database.write(lambda tx: finish(tx, [failed], 1, silent))
    ended = await database.read(lambda tx: find(tx, owner, job.id, LEASE))
    assert ended is not None
    assert ended.error is not None
    assert (ended.error.reason, ended.error.message) == ("cd", NUL)
