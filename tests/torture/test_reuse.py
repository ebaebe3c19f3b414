"""Killed between the copies of an earlier result and the word of them: the job ends well all the
same, with all its files."""

from pathlib import Path
from typing import Any

from tests.torture.platform import Running, running

WORK = {"model": "echo-v1", "params": {"artifact_bytes": 50_000, "artifacts": 2}}


def objects(data: Path) -> set[str]:
    return {path.name for path in data.rglob("artifacts/*/*/*") if path.is_file()}


def ended(platform: Running, job_id: str) -> dict[str, Any]:
    with platform.client() as client:
        return client.get(f"/jobs/{job_id}?wait_seconds=60").json()


def submitted(platform: Running, **more: bool) -> str:
    with platform.client() as client:
        return client.post("/jobs", json=WORK | more).json()["id"]


def test_a_kill_among_the_copies_costs_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, "reuse.after_copy:1") as platform:
        first = ended(platform, submitted(platform))
        second = submitted(platform, reuse=True)
        platform.process.wait(60)
        assert platform.process.returncode == -9, "killed by itself"
    assert len(objects(data)) == 3, "one of the copies was made"
    with running(data) as platform:
        again = ended(platform, second)
        assert (again["status"], again["reused_from"]) == ("SUCCEEDED", first["id"])
        large = {
            each["id"]
            for job in (first, again)
            for each in job["artifacts"]
            if each["size_bytes"] == 50_000
        }
        assert large <= objects(data), "what was copied is not swept as nobody's"
