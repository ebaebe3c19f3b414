"""Webhooks of many processes: beats share the sending, and one that dies loses nothing."""

from typing import Any

import pytest

from tests.distributed.part import until
from tests.distributed.site import Site
from tests.torture.ear import Ear, listening

ENVIRONMENT = {
    "USINA_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    "USINA_WEBHOOK_TIMEOUT_SECONDS": "1",
}


def ends(ear: Ear) -> list[tuple[str, str]]:
    """Jobs and the ends that were heard of them, one for each id."""
    return sorted((job, kind) for told in ear.heard.values() for job, kind, _ in told)


@pytest.mark.parametrize("place", ["hook.in_handover", "hook.after_post", "hook.before_record"])
def test_a_beat_that_dies_in_the_midst_has_another_go_on(empty: Site, place: str) -> None:
    """What it had sent comes again once its claim is over, under the same id."""
    empty.environment |= ENVIRONMENT
    with listening() as ear:
        parts = [empty.api(), empty.worker(), empty.beat(USINA_FAILPOINTS=place)]
        for part in parts:
            part.ready()
        user = empty.user(parts[0])
        assert user.post("/webhooks", {"url": ear.url}).status_code == 201
        jobs = user.submit_many(5)
        assert parts[2].ended() == -9
        for job in jobs:
            user.ended(job)
        other = empty.beat().ready()
        until(lambda: len(ear.heard) == 5, 40)

        def waiting() -> Any:
            return user.get("/webhooks/deliveries?status=pending")["items"]

        until(lambda: not waiting(), 40)
        assert ends(ear) == [(job, "job.succeeded") for job in sorted(jobs)]
        assert [part.stop() for part in (parts[0], parts[1], other)] == [0, 0, 0]


def test_two_beats_tell_each_end_once(empty: Site) -> None:
    empty.environment |= ENVIRONMENT
    with listening() as ear:
        api, worker, *beats = empty.api(), empty.worker(), empty.beat(), empty.beat()
        for part in (api, worker, *beats):
            part.ready()
        user = empty.user(api)
        user.post("/webhooks", {"url": ear.url}).raise_for_status()
        jobs = user.submit_many(60)
        for job in jobs:
            user.ended(job)
        until(lambda: len(ear.heard) == len(jobs))
        assert ends(ear) == [(job, "job.succeeded") for job in sorted(jobs)]
        assert ear.requests == len(jobs), "nobody died, so nothing came twice"
