"""Several of each part, side by side."""

import json
from datetime import UTC, datetime

import pytest

from tests.distributed.conftest import Works
from tests.distributed.part import until
from tests.distributed.site import SUCCEEDED_ONCE, User, meanwhile
from usina.kernel.ids import new_id

pytestmark = pytest.mark.xdist_group("distributed many")


@pytest.fixture(scope="module")
def elsewhere(lent: Works) -> User:
    """The same user at a second API."""
    return lent.user.at(lent.site.api().ready())


def test_what_one_api_accepts_the_other_tells_of(lent: Works, elsewhere: User) -> None:
    here, there = lent.user, elsewhere
    with meanwhile() as threads:
        for _ in range(3):
            job = here.submit(seconds=0.5)
            polled = threads.submit(there.ended, job)
            streamed = threads.submit(there.streamed, job)
            assert polled.result(30)["status"] == "SUCCEEDED"
            types = streamed.result(30)
            assert types[0] == "job.queued"
            assert types[-1] == "job.succeeded"
            assert [kind for kind in types if kind != "job.progress"] == [
                kind for kind in here.types(job) if kind != "job.progress"
            ]
    job = here.submit(seconds=60)
    there.running(job)
    assert there.post(f"/jobs/{job}/cancel").status_code == 202
    assert here.ended(job)["status"] == "CANCELLED"


def test_the_end_is_told_at_once_on_another_api(lent: Works, elsewhere: User) -> None:
    """By the end's own time, not by a look every few seconds."""
    waited: list[float] = []
    for _ in range(5):
        job = elsewhere.ended(lent.user.submit())
        ended = datetime.fromisoformat(job["finished_at"])
        waited.append((datetime.now(UTC) - ended).total_seconds())
    assert min(waited) < 1, waited


def test_a_submit_with_a_key_is_one_job_on_both(lent: Works, elsewhere: User) -> None:
    with meanwhile() as threads:
        both = [threads.submit(user.submit, key="same") for user in [lent.user, elsewhere] * 4]
        assert len({submit.result(30) for submit in both}) == 1


def test_two_beats_fire_each_moment_once_and_one_goes_on_alone(works: Works) -> None:
    """With ``catch_up`` of all, there are as many jobs as moments have passed, at any time."""
    site, user = works.site, works.user
    other = site.beat().ready()
    first = datetime.now(UTC)
    site.sql(
        "INSERT INTO schedules (id, organization_id, name, every_seconds, timezone, job, catch_up,"
        " enabled, next_at, created_at)"
        " VALUES ($1, $2, 'steady', 2, 'UTC', $3, 'all', true, $4, $4)",
        new_id(),
        site.organization_of(user),
        json.dumps({"model": "echo-v1"}),
        first,
    )

    def fired() -> int:
        [[jobs, moments]] = site.sql(
            "SELECT (SELECT count(*) FROM jobs), extract(epoch FROM next_at - $1) / 2"
            " FROM schedules",
            first,
        )
        assert jobs == round(moments)
        return jobs

    until(lambda: fired() >= 3)
    works.beat.kill()
    before = fired()
    until(lambda: fired() >= before + 3)
    ids = [job["id"] for job in user.get("/jobs?limit=200")["items"]]
    assert user.outcomes(ids) == {SUCCEEDED_ONCE}
    assert other.stop() == 0
