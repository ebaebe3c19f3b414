"""Earlier results where the machines differ, or none is left that could make them."""

from pathlib import Path
from typing import Any

import pytest

from tests.distributed.part import until
from tests.distributed.site import Site, User

pytestmark = pytest.mark.xdist_group("distributed reuse")

_PROGRAM = "import usina_runner\nusina_runner.run(lambda job: job.report({{'by': {by!r}}}))\n"
_MANIFEST = """\
name = "equal-v1"
version = "1.0.0"
task = "test"
description = "Says by whom it was made."
license = "MIT"
command = ["{python}", "run.py"]
deterministic = true
timeout_seconds = 60
[outputs."report.json"]
kind = "report"
required = true
"""


def program(folder: Path, by: str) -> str:
    """What ``USINA_RUNNERS`` is where this is the program."""
    (place := folder / "equal-v1").mkdir(parents=True)
    (place / "run.py").write_text(_PROGRAM.format(by=by))
    (place / "runner.toml").write_text(_MANIFEST)
    return str(folder)


def asked(user: User) -> dict[str, Any]:
    """The end of a job that takes an earlier result."""
    answer = user.post("/jobs", {"model": "equal-v1", "reuse": True})
    assert answer.status_code == 202, answer.text
    return user.ended(answer.json()["id"])


def maker(user: User, job: dict[str, Any]) -> str:
    """Who made its report, in the first place."""
    [report] = [each for each in job["artifacts"] if each["name"] == "report.json"]
    return user.get(f"/artifacts/{report['id']}/content")["by"]


def told(empty: Site) -> list[str]:
    """What the living workers say of the program."""
    found = empty.sql("SELECT programs ->> 'equal-v1' FROM workers")
    return sorted(each[0] or "" for each in found)


def test_a_result_outlives_its_workers_but_not_their_program(empty: Site, tmp_path: Path) -> None:
    old, new = program(tmp_path / "old", "the old"), program(tmp_path / "new", "the new")
    api, beat, worker = (
        part.ready()
        for part in (
            empty.api(USINA_RUNNERS=old),
            empty.beat(USINA_RUNNERS=old),
            empty.worker("--slots", "1", USINA_RUNNERS=old),
        )
    )
    user = empty.user(api)
    first = user.ended(user.submit("equal-v1"))
    assert (first["status"], maker(user, first)) == ("SUCCEEDED", "the old")
    until(lambda: told(empty) not in ([], [""]))
    assert worker.stop() == 0
    alone = asked(user)
    assert (alone["status"], alone["reused_from"]) == ("SUCCEEDED", first["id"])

    other = empty.worker("--slots", "1", USINA_RUNNERS=new).ready()
    until(lambda: told(empty) not in ([], [""]))
    changed = asked(user)
    assert (changed["reused_from"], maker(user, changed)) == (None, "the new")
    again = asked(user)
    assert (again["reused_from"], maker(user, again)) == (changed["id"], "the new")
    assert [other.stop(), beat.stop()] == [0, 0]
