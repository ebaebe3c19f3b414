"""Each check of the rig finds what it is for: a run that is well, and one broken in one place."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.torture.rig.checker import CHECKS, broken
from tests.torture.rig.checker.client import SETTLING_SECONDS
from tests.torture.rig.checker.job import CANCEL_SECONDS, OVERLAP_SECONDS
from tests.torture.rig.checker.place import LONGEST_WAIT_SECONDS
from tests.torture.rig.evidence import Evidence, Followed, Row
from tests.torture.rig.history import Operation, leak_in
from tests.torture.rig.member import Death
from tests.torture.rig.witness import Mark

ORGANIZATION, STRANGER = "o", "p"
LOST = {"code": "worker_lost", "reason": None}
FAILED = {"code": "runner_failed", "reason": "no_result"}


def event(job: str, seq: int, kind: str, **data: Any) -> Row:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seq)
    return {
        "organization_id": ORGANIZATION,
        "job_id": job,
        "seq": seq,
        "type": f"job.{kind}",
        "at": at,
        "data": json.dumps(data),
    }


def job(name: str, status: str, attempt: int, last_seq: int, **params: Any) -> Row:
    return {
        "id": name,
        "organization_id": ORGANIZATION,
        "status": status,
        "attempt": attempt,
        "last_seq": last_seq,
        "leased": False,
        "labels": json.dumps({"key": f"key-{name}"}),
        "params": json.dumps(params),
    }


def artifact(name: str, attempt: int, told: int) -> Row:
    content = json.dumps({"attempt": told}) if name == "report.json" else ""
    of = {"job_id": "a", "kind": "data", "name": name}
    return of | {"attempt": attempt, "content": content}


def asked(verb: str, subject: str, status: int | None, **more: Any) -> Operation:
    return Operation(ORGANIZATION, verb, subject, invoked=1.0, answered=2.0, status=status, **more)


def well() -> Evidence:
    """Job ``a`` was lost once and succeeded; ``b`` was cancelled, and opened again, and failed;
    ``c`` was cancelled for good."""
    events = [
        event("a", 1, "queued"),
        event("a", 2, "running", attempt=1),
        event("a", 3, "retrying", attempt=2, error=LOST),
        event("a", 4, "running", attempt=2),
        event("a", 5, "artifact"),
        event("a", 6, "succeeded"),
        event("b", 1, "queued"),
        event("b", 2, "cancelled"),
        event("b", 3, "retrying", attempt=2, error={"code": "cancelled"}),
        event("b", 4, "running", attempt=2),
        event("b", 5, "failed"),
        event("c", 1, "queued"),
        event("c", 2, "running", attempt=1),
        event("c", 3, "cancelling"),
        event("c", 4, "cancelled"),
    ]
    log = [(e["job_id"], e["seq"], e["type"]) for e in events]
    return Evidence(
        jobs=[
            job("a", "SUCCEEDED", 2, 6, artifacts=1),
            job("b", "FAILED", 2, 5, misdeed="fail"),
            job("c", "CANCELLED", 1, 4),
        ],
        events=events,
        artifacts=[artifact("report.json", 2, 2), artifact("part-0.bin", 2, 2)],
        named_objects={"artifacts/o/a/x": (1, "hash")},
        objects={"artifacts/o/a/x": (1, "hash")},
        marks=[
            Mark("a", 1, 10, "begin", 1.0),
            Mark("a", 2, 11, "begin", 5.0),
            Mark("a", 1, 10, "end", 6.0),
            Mark("a", 2, 11, "end", 7.0),
            Mark("b", 2, 11, "begin", 8.0),
            Mark("c", 1, 11, "begin", 1.0),
        ],
        operations=[
            asked("POST /jobs", "key-a", None, fault="ReadError"),
            asked("POST /jobs", "key-a", 202, job="a"),
            asked("POST /jobs", "key-a", 202, job="a"),
            asked("POST /jobs", "key-b", 202, job="b"),
            asked("POST /jobs", "key-c", 503, retry_after=True),
            asked("POST /jobs", "key-c", 202, job="c"),
            asked("POST /jobs/b/cancel", "cancel b", 202),
            asked("POST /jobs/b/retry", "reopen b", 202),
            asked("POST /jobs/c/cancel", "cancel c", 202),
            asked("GET /jobs/z", "pry z", 404, foreign=True),
        ],
        followed=[
            Followed(ORGANIZATION, None, "list", log),
            Followed(ORGANIZATION, None, "sse", log[3:]),
            Followed(ORGANIZATION, "b", "sse", log[6:11]),
            Followed(ORGANIZATION, "b", "sse", log[6:8]),
        ],
        deaths=[
            Death("worker-1", 1.0, -9, True, "kill worker"),
            Death("api-1", 2.0, 0, True, "TERM"),
        ],
        calm_since=100.0,
    )


def change_job(evidence: Evidence, place: int, **values: Any) -> None:
    evidence.jobs[place] = evidence.jobs[place] | values


def change_follower(evidence: Evidence, place: int, change: Callable[[list[Any]], object]) -> None:
    seen = list(evidence.followed[place].seen)
    change(seen)
    evidence.followed[place] = replace(evidence.followed[place], seen=seen)


BREAKS: list[tuple[str, str, Callable[[Evidence], object]]] = [
    ("I1", "the accepted job is gone", lambda e: e.jobs.pop(0)),
    (
        "I1",
        "a key made two jobs",
        lambda e: e.jobs.append(job("d", "FAILED", 1, 0) | {"labels": e.jobs[0]["labels"]}),
    ),
    (
        "I1",
        "a repeat was answered with another job",
        lambda e: setattr(e.operations[2], "job", "b"),
    ),
    ("I1", "a submit was never accepted", lambda e: e.given_up.append("1-1")),
    ("I2", "a job runs for ever", lambda e: change_job(e, 0, status="RUNNING")),
    ("I2", "an ended job holds a lease", lambda e: change_job(e, 0, leased=True)),
    ("I2", "it did not drain", lambda e: setattr(e, "drained", False)),
    ("I3", "two successes are told", lambda e: e.events.append(event("a", 7, "succeeded"))),
    ("I3", "nobody saw the winner's end", lambda e: e.marks.pop(3)),
    ("I3", "one attempt ran twice", lambda e: e.marks.append(Mark("a", 2, 12, "begin", 6.5))),
    (
        "I4",
        "a stale program ran on",
        lambda e: e.marks.append(Mark("a", 1, 10, "end", 5.1 + OVERLAP_SECONDS)),
    ),
    (
        "I4",
        "a stale report was kept",
        lambda e: e.artifacts.__setitem__(0, artifact("report.json", 2, 1)),
    ),
    (
        "I4",
        "a stale file was kept",
        lambda e: e.artifacts.__setitem__(1, artifact("part-0.bin", 1, 1)),
    ),
    (
        "I5",
        "lost too often",
        lambda e: [
            e.events.append(event("b", n, "retrying", attempt=n, error=LOST)) for n in range(6, 13)
        ],
    ),
    (
        "I5",
        "charged too often",
        lambda e: [
            e.events.append(event("c", n, "retrying", attempt=n, error=FAILED))
            for n in range(5, 10)
        ],
    ),
    ("I5", "an attempt was left out", lambda e: change_job(e, 0, attempt=3)),
    ("I6", "it succeeded without running", lambda e: e.events.pop(3)),
    ("I6", "it was opened and nobody asked", lambda e: e.operations.pop(7)),
    (
        "I6",
        "something came after a success",
        lambda e: e.events.insert(6, event("a", 7, "running")),
    ),
    ("I7", "a number is missing", lambda e: e.events.pop(2)),
    ("I7", "the row counts more events", lambda e: change_job(e, 1, last_seq=9)),
    ("I7", "the last event is another state's", lambda e: change_job(e, 1, status="CANCELLED")),
    ("I7", "events of no job", lambda e: e.events.append(event("z", 1, "queued"))),
    ("I7", "times go back", lambda e: e.events[0].update(at=e.events[5]["at"] + timedelta(60))),
    ("I8", "an event was missed", lambda e: change_follower(e, 0, lambda seen: seen.pop(4))),
    (
        "I8",
        "an event came twice",
        lambda e: change_follower(e, 1, lambda seen: seen.insert(2, seen[2])),
    ),
    (
        "I8",
        "two came in the wrong order",
        lambda e: change_follower(e, 0, lambda seen: seen.reverse()),
    ),
    ("I8", "the end was never seen", lambda e: change_follower(e, 0, lambda seen: seen.pop())),
    (
        "I8",
        "a job's first event was missed",
        lambda e: change_follower(e, 2, lambda seen: seen.pop(0)),
    ),
    ("I9", "an object is gone", lambda e: e.objects.clear()),
    ("I9", "an object is damaged", lambda e: e.objects.update({"artifacts/o/a/x": (1, "other")})),
    ("I10", "an orphan", lambda e: e.objects.update({"artifacts/o/a/y": (1, "hash")})),
    ("I11", "a success lacks a file", lambda e: e.artifacts.pop()),
    ("I11", "a success has a file twice", lambda e: e.artifacts.append(e.artifacts[1])),
    (
        "I11",
        "a failure has files",
        lambda e: e.artifacts.append(artifact("report.json", 2, 2) | {"job_id": "b"}),
    ),
    ("I13", "another's job was shown", lambda e: setattr(e.operations[-1], "status", 200)),
    (
        "I13",
        "another's event was told",
        lambda e: e.followed.append(Followed(STRANGER, None, "sse", [("a", 1, "job.queued")])),
    ),
    ("I15", "a process is left", lambda e: e.leftovers.append("process 1")),
    (
        "I15",
        "a process ended by itself",
        lambda e: e.deaths.append(Death("api-2", 1.0, 1, True, "")),
    ),
    (
        "I15",
        "TERM did not end well",
        lambda e: e.deaths.append(Death("beat-1", 1.0, -9, True, "TERM")),
    ),
    (
        "I16",
        "a job waited too long",
        lambda e: setattr(e, "oldest_wait_seconds", LONGEST_WAIT_SECONDS + 1),
    ),
    ("I17", "an answer was 500", lambda e: setattr(e.operations[0], "status", 500)),
    ("I17", "503 without Retry-After", lambda e: setattr(e.operations[4], "retry_after", False)),
    (
        "I17",
        "a refusal with nothing amiss",
        lambda e: setattr(e.operations[4], "invoked", 101 + SETTLING_SECONDS),
    ),
    (
        "I17",
        "a traceback in an answer",
        lambda e: setattr(e.operations[1], "leak", leak_in('x\nFile "/srv/a.py"')),
    ),
    ("I17", "a secret in a log", lambda e: e.leaks_in_logs.append("api-1.log")),
    ("I18", "it succeeded after its cancel", lambda e: change_job(e, 2, status="SUCCEEDED")),
    (
        "I18",
        "it ran on after its cancel",
        lambda e: e.marks.append(Mark("c", 2, 1, "begin", 3 + CANCEL_SECONDS)),
    ),
    (
        "I19",
        "a deadlock was told",
        lambda e: setattr(e.operations[1], "leak", leak_in("deadlock detected")),
    ),
]


def test_a_run_that_is_well_is_called_so() -> None:
    assert broken(well()) == {}


@pytest.mark.parametrize(
    ("number", "break_it"), [pytest.param(n, b, id=f"{n} {w}") for n, w, b in BREAKS]
)
def test_a_broken_run_is_called_so(number: str, break_it: Callable[[Evidence], object]) -> None:
    evidence = well()
    break_it(evidence)
    assert any(name.startswith(f"{number} ") for name in broken(evidence))


def test_every_check_is_shown_to_fail() -> None:
    assert {name.split()[0] for name in CHECKS} == {number for number, _, _ in BREAKS}
