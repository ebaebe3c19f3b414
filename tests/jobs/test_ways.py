"""How often a small job goes to PostgreSQL and back: what a way costs is most of what it costs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.jobs.make import LEASE, NEW_JOB, organization, silent, take
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.db.postgres_driver import PostgresDriver
from usina.kernel.jobs.store.ending import Ending, finish
from usina.kernel.jobs.store.insert import insert_jobs
from usina.kernel.jobs.store.query import find


def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Tells how many ways there were since it was asked last."""
    ways = 0

    def counts(name: str) -> None:
        goes: Callable[..., Any] = getattr(PostgresDriver, name)

        def go(driver: PostgresDriver, *said: Any) -> Any:
            nonlocal ways
            ways += 1
            return goes(driver, *said)

        monkeypatch.setattr(PostgresDriver, name, go)

    for name in ("_execute", "executemany", "say"):
        counts(name)

    def since() -> int:
        nonlocal ways
        found, ways = ways, 0
        return found

    return since


@pytest.mark.parametrize("owners", [1, 3])
async def test_jobs_that_come_together_take_the_ways_of_one(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, owners: int
) -> None:
    whose = [await organization(postgres) for _ in range(owners)]
    new = [replace(NEW_JOB, organization_id=owner) for owner in whose * 2]
    ways = counted(monkeypatch)
    await postgres.write(lambda tx: insert_jobs(tx, new, silent))
    assert ways() == 2
    claimed = await take(postgres, free=len(new))
    assert len(claimed) == len(new)
    assert ways() == 3
    endings = [Ending(one.lease, None) for one in claimed]
    states = await postgres.write(lambda tx: finish(tx, endings, 1, silent))
    assert states == ["SUCCEEDED"] * len(new)
    assert ways() == 4  # the logs of programs go by themselves
    job = claimed[0].job
    found = await postgres.read(
        lambda tx: find(tx, job.organization_id, job.id, LEASE), tenant=job.organization_id
    )
    assert found is not None
    assert (found.status, found.last_seq) == ("SUCCEEDED", 3)
