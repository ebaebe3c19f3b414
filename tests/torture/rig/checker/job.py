"""Checks of single jobs: their states, attempts, logs and files."""

import json
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import Final

from tests.torture.rig.evidence import Evidence, Row
from tests.torture.rig.plan import HEARTBEAT_SECONDS, LEASE_SECONDS, LONGEST_STOP_SECONDS
from usina.kernel.jobs.state import MAX_LOST

ENDINGS: Final = {
    "job.succeeded": "SUCCEEDED",
    "job.failed": "FAILED",
    "job.cancelled": "CANCELLED",
}
_AFTER: Final[dict[str, frozenset[str]]] = {
    "": frozenset({"job.queued"}),
    "job.queued": frozenset({"job.running", "job.cancelled"}),
    "job.running": frozenset(
        {"job.progress", "job.artifact", "job.cancelling", "job.queued", "job.retrying", *ENDINGS}
    ),
    "job.progress": frozenset(
        {"job.progress", "job.artifact", "job.cancelling", "job.retrying", *ENDINGS}
    ),
    "job.artifact": frozenset(
        {"job.artifact", "job.succeeded", "job.failed", "job.cancelled", "job.retrying"}
    ),
    "job.cancelling": frozenset({"job.progress", "job.artifact", "job.cancelled"}),
    "job.retrying": frozenset({"job.running", "job.cancelled"}),
    "job.succeeded": frozenset(),
    "job.failed": frozenset({"job.retrying"}),
    "job.cancelled": frozenset({"job.retrying"}),
}
_LATE: Final = timedelta(seconds=10)
"""An event has the time at which its transaction began, and that may have waited so long for the
job's row."""

_NOT_CHARGED: Final = "worker_lost"
OVERLAP_SECONDS: Final = LEASE_SECONDS + LONGEST_STOP_SECONDS + 10 * HEARTBEAT_SECONDS
"""How long a stale program may live beside the new one: until its worker, stopped for a while,
looks at its leases again."""

CANCEL_SECONDS: Final = 10.0 + OVERLAP_SECONDS


def every_job_has_ended(evidence: Evidence) -> list[str]:
    wrong = [] if evidence.drained else ["it did not drain in time"]
    for job in evidence.jobs:
        if job["status"] not in ENDINGS.values():
            wrong.append(f"{job['id']} is {job['status']}")
        elif job["leased"]:
            wrong.append(f"{job['id']} has ended and holds a lease")
    return wrong


def no_job_succeeds_twice(evidence: Evidence) -> list[str]:
    wrong: list[str] = []
    told = Counter(e["job_id"] for e in evidence.events if e["type"] == "job.succeeded")
    wrong += [f"{job} succeeded {times} times" for job, times in told.items() if times > 1]
    ends = Counter((mark.job, mark.attempt) for mark in evidence.marks if mark.what == "end")
    begins = Counter((mark.job, mark.attempt) for mark in evidence.marks if mark.what == "begin")
    wrong += [f"attempt {a} of {j} began {n} times" for (j, a), n in begins.items() if n > 1]
    for job in evidence.jobs:
        which = job["id"], job["attempt"]
        if job["status"] == "SUCCEEDED" and ends[which] != 1:
            wrong.append(f"{job['id']}: its attempt {which[1]} came {ends[which]} times to an end")
    return wrong


def stale_attempts_leave_no_trace(evidence: Evidence) -> list[str]:
    """Programs of one job overlap only while a lease is being lost, and what counts is all of the
    attempt that won."""
    wrong: list[str] = []
    begins: dict[str, dict[int, float]] = defaultdict(dict)
    lasts: dict[tuple[str, int], float] = {}
    for mark in evidence.marks:
        if mark.what == "begin":
            begins[mark.job][mark.attempt] = mark.at
        lasts[mark.job, mark.attempt] = mark.at
    for job, attempts in begins.items():
        for earlier, later in pairwise(sorted(attempts)):
            beside = lasts[job, earlier] - attempts[later]
            if beside > OVERLAP_SECONDS:
                wrong.append(f"{job}: attempt {earlier} ran {beside:.1f} s beside {later}")
    winners = {job["id"]: job["attempt"] for job in evidence.jobs if job["status"] == "SUCCEEDED"}
    for artifact in evidence.artifacts:
        attempt = winners.get(artifact["job_id"])
        if attempt is None or artifact["kind"] == "log":
            continue
        told = json.loads(artifact["content"]) if artifact["name"] == "report.json" else {}
        if artifact["attempt"] != attempt or told.get("attempt", attempt) != attempt:
            wrong.append(f"{artifact['job_id']}: {artifact['name']} is of a stale attempt")
    return wrong


def attempts_are_counted(evidence: Evidence) -> list[str]:
    """A lost worker is not charged, at most five times an opening; failures are, as asked for."""
    wrong: list[str] = []
    logs = evidence.events_of()
    for job in evidence.jobs:
        asked = json.loads(job["params"]).get("misdeed", "none") != "none"
        charged = lost = 0
        attempt = 1
        for event in logs[job["id"]]:
            if event["type"] in ENDINGS:
                charged = lost = 0
            if event["type"] != "job.retrying":
                continue
            data = json.loads(event["data"])
            attempt += 1
            if data["attempt"] != attempt:
                wrong.append(f"{job['id']}: attempt {data['attempt']} comes after {attempt - 1}")
            error = data["error"] or {}
            lost += error.get("code") == _NOT_CHARGED and error.get("reason") is None
            charged += error.get("code") not in {_NOT_CHARGED, "cancelled"}
            if charged > (1 if asked else 2) + 1 or lost > MAX_LOST:
                wrong.append(f"{job['id']}: {charged} failures and {lost} losses in one opening")
        if attempt != job["attempt"]:
            wrong.append(f"{job['id']} is at attempt {job['attempt']}, its log at {attempt}")
    return wrong


def only_known_ways(evidence: Evidence) -> list[str]:
    reopened = Counter(
        operation.subject.removeprefix("reopen ")
        for operation in evidence.operations
        if operation.subject.startswith("reopen ")
    )
    wrong: list[str] = []
    for job, events in evidence.events_of().items():
        types = ["", *(event["type"] for event in events)]
        for before, after in pairwise(types):
            if after not in _AFTER[before]:
                wrong.append(f"{job}: {after} came after {before or 'nothing'}")
        again = sum(before in ENDINGS for before, _ in pairwise(types))
        if again > reopened[job]:
            wrong.append(f"{job} was opened {again} times again and {reopened[job]} asked for")
    return wrong


def logs_are_whole(evidence: Evidence) -> list[str]:
    wrong: list[str] = []
    statuses: dict[str, Row] = {job["id"]: job for job in evidence.jobs}
    for job, events in evidence.events_of().items():
        if job not in statuses:
            wrong.append(f"events of {job}, which is no job")
            continue
        if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
            wrong.append(f"{job} has a gap: {[event['seq'] for event in events]}")
        if statuses[job]["last_seq"] != len(events):
            wrong.append(
                f"{job} has {len(events)} events, its row says {statuses[job]['last_seq']}"
            )
        backward = max((b["at"] - a["at"] for b, a in pairwise(events)), default=_LATE)
        if backward > _LATE:
            wrong.append(f"{job}: times go back by {backward}")
        last = events[-1]["type"] if events else ""
        if ENDINGS.get(last) != statuses[job]["status"]:
            wrong.append(f"{job} is {statuses[job]['status']} and its last event is {last!r}")
    return wrong


def manifests_are_complete(evidence: Evidence) -> list[str]:
    wrong: list[str] = []
    kept: dict[str, list[str]] = defaultdict(list)
    for artifact in evidence.artifacts:
        if artifact["kind"] != "log":
            kept[artifact["job_id"]].append(artifact["name"])
    for job in evidence.jobs:
        parts = json.loads(job["params"]).get("artifacts", 0)
        wanted = {"report.json", *(f"part-{number}.bin" for number in range(parts))}
        names = kept[job["id"]]
        if job["status"] == "SUCCEEDED":
            files = {name for name in names if not name.startswith("state-")}
            if files != wanted or len(names) != len(set(names)):
                wrong.append(f"{job['id']} succeeded with {sorted(names)}")
        elif names:
            wrong.append(f"{job['id']} is {job['status']} with {sorted(names)}")
    return wrong


def cancelled_stays_cancelled(evidence: Evidence) -> list[str]:
    """Whoever is told that a cancel is under way never sees a success, and no program for long."""
    reopened = {
        operation.subject.removeprefix("reopen ")
        for operation in evidence.operations
        if operation.subject.startswith("reopen ")
    }
    told: dict[str, float] = {}
    for operation in evidence.operations:
        if operation.subject.startswith("cancel ") and operation.status == 202:
            job = operation.subject.removeprefix("cancel ")
            told[job] = min(operation.answered, told.get(job, operation.answered))
    statuses = {job["id"]: job["status"] for job in evidence.jobs}
    wrong = [
        f"{job} was told to be cancelled and is {statuses.get(job)}"
        for job in told
        if job not in reopened and statuses.get(job) != "CANCELLED"
    ]
    for mark in evidence.marks:
        since = told.get(mark.job)
        if since is not None and mark.job not in reopened and mark.at > since + CANCEL_SECONDS:
            late = mark.at - since
            wrong.append(f"{mark.job}: {mark.what} {late:.1f} s after its cancel")
    return wrong
