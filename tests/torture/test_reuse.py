"""Killed amid the copies of an earlier result, before and after the word of them: every job ends
well all the same, once, with all its files."""

import contextlib
from pathlib import Path
from typing import Any

import httpx2

from tests.torture.invariant import violations
from tests.torture.platform import Running, get_json, running

WORK = {"model": "echo-v1", "params": {"artifact_bytes": 50_000, "artifacts": 2}}


def objects(data: Path) -> set[str]:
    return {path.name for path in data.rglob("artifacts/*/*/*") if path.is_file()}


def ended(platform: Running, job_id: str) -> dict[str, Any]:
    with platform.client() as client:
        return client.get(f"/jobs/{job_id}?wait_seconds=60").json()


def submitted(platform: Running, **more: bool) -> str:
    with platform.client() as client:
        return client.post("/jobs", json=WORK | more).json()["id"]


def until_it_dies(platform: Running) -> list[str]:
    """Jobs that were accepted before it died; a worker whose turn it is may be faster."""
    accepted: list[str] = []
    with contextlib.suppress(httpx2.HTTPError):
        while platform.process.poll() is None:
            accepted.append(submitted(platform, reuse=True))
            ended(platform, accepted[-1])
    platform.process.wait(60)
    assert platform.process.returncode == -9, "killed by itself"
    return accepted


def test_a_kill_costs_an_answer_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "reuse.after_copy:1") as platform:
        first = ended(platform, submitted(platform))
        accepted = until_it_dies(platform)
    assert len(objects(data)) > 2, "some of the copies were made"
    for place in ("reuse.in_transaction:1", "reuse.after_commit:1"):
        with running(data, place) as platform:
            accepted += until_it_dies(platform)
    with running(data) as platform, platform.client() as client:
        large = large_of(first)
        for job_id in accepted:
            job = ended(platform, job_id)
            assert (job["status"], job["reused_from"]) == ("SUCCEEDED", first["id"])
            kinds = [each["type"] for each in get_json(client, f"/jobs/{job_id}/events")["items"]]
            assert kinds.count("job.succeeded") == 1
            assert len(large_of(job)) == 2
            large |= large_of(job)
        assert large <= objects(data), "what was copied is not swept as nobody's"
        platform.stop()
    assert violations(data, {first["id"], *accepted}, set(), alive=False) == []


def large_of(job: dict[str, Any]) -> set[str]:
    return {each["id"] for each in job["artifacts"] if each["size_bytes"] == 50_000}
