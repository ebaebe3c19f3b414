"""Machines with different programs: each worker runs what it can, the catalogue tells all."""

from pathlib import Path
from typing import Any

import pytest

from tests.distributed.part import Part, until
from tests.distributed.site import SUCCEEDED_ONCE, Site, User

pytestmark = pytest.mark.xdist_group("distributed model")

_PROGRAM = "import usina_runner\nusina_runner.run(lambda job: job.report({}))\n"


def runners(folder: Path, *installed: str) -> str:
    """What ``USINA_RUNNERS`` is on a machine that knows both models and has these programs."""
    for name in ("left-v1", "right-v1"):
        command = '["{python}", "run.py"]' if name in installed else '["no-such-program"]'
        (place := folder / name).mkdir(parents=True)
        (place / "run.py").write_text(_PROGRAM)
        (place / "runner.toml").write_text(
            f'name = "{name}"\nversion = "1.0.0"\ntask = "test"\ndescription = "On one machine."\n'
            f'license = "MIT"\ncommand = {command}\nmode = "cold"\ntimeout_seconds = 60\n'
            '[outputs."report.json"]\nkind = "report"\nrequired = true\n'
        )
    return str(folder)


def available(user: User, name: str) -> bool:
    return user.get(f"/models/{name}")["available"]


def refused(user: User, name: str) -> dict[str, Any]:
    answer = user.post("/jobs", {"model": name})
    assert answer.status_code == 422, answer.text
    return answer.json()


def first_time(user: User, job_id: str) -> None:
    """Returns once the job has succeeded in its first attempt."""
    assert user.outcome(job_id) == SUCCEEDED_ONCE
    assert user.job(job_id)["attempt"] == 1


def worker_of(user: User, part: Part) -> dict[str, Any]:
    return next(row for row in user.get("/workers")["items"] if row["id"] == part.word)


def test_each_worker_takes_the_jobs_that_its_machine_can_run(empty: Site, tmp_path: Path) -> None:
    """Behind an API that has neither program, and with one slot each, so that both must look past
    what they can not run."""
    beat = empty.beat(USINA_RUNNERS=runners(tmp_path / "beat"))
    api = empty.api(USINA_RUNNERS=runners(tmp_path / "api")).ready()
    user = empty.user(api)
    assert refused(user, "left-v1")["code"] == "model_unavailable"
    left = empty.worker("--slots", "1", USINA_RUNNERS=runners(tmp_path / "left", "left-v1")).ready()
    until(lambda: available(user, "left-v1"))
    first_time(user, user.submit("left-v1"))
    assert "no-such-program" in refused(user, "right-v1")["detail"]
    right = empty.worker("--slots", "1", USINA_RUNNERS=runners(tmp_path / "right", "right-v1"))
    right.ready()
    until(lambda: available(user, "right-v1"))
    assert "left-v1" not in worker_of(user, right)["models"]
    assert {"right-v1", "echo-v1"} <= set(worker_of(user, right)["models"])
    jobs = [user.submit(name) for name in ("left-v1", "right-v1", "right-v1", "echo-v1") * 4]
    for job in jobs:
        first_time(user, job)
    assert user.post(f"/workers/{right.word}/drain").status_code == 200
    waiting = user.submit("right-v1")
    first_time(user, user.submit("left-v1"))
    job = user.job(waiting)
    assert (job["status"], job["attempt"], job["waiting_reason"]) == ("QUEUED", 1, "no_worker")
    assert user.post(f"/workers/{right.word}/resume").status_code == 200
    first_time(user, waiting)
    assert [part.stop() for part in (left, right, beat.ready())] == [0, 0, 0]


def test_what_no_worker_can_run_any_more_waits_and_is_told_of(empty: Site, tmp_path: Path) -> None:
    able, not_able = (
        runners(tmp_path / name, *installed)
        for name, installed in (("able", ["left-v1"]), ("not", []))
    )
    api, beat = empty.api(USINA_RUNNERS=able), empty.beat(USINA_RUNNERS=not_able)
    user = empty.user(api.ready())
    other = empty.worker(USINA_RUNNERS=not_able).ready()
    waiting = user.submit("left-v1")
    first_time(user, user.submit())
    assert user.job(waiting)["waiting_reason"] == "no_worker"
    beat.logged("no worker can run what waits", 60)
    assert "no-such-program" in beat.log
    worker = empty.worker(USINA_RUNNERS=able).ready()
    first_time(user, waiting)
    assert [part.stop() for part in (other, worker, beat)] == [0, 0, 0]
