"""Checks of what clients were told."""

import json
from collections import defaultdict
from itertools import zip_longest
from typing import Final

from tests.torture.rig.checker.job import ENDINGS
from tests.torture.rig.evidence import Evidence, Followed
from tests.torture.rig.follower import Told
from tests.torture.rig.history import Operation

SETTLING_SECONDS: Final = 15.0
"""After the last fault: the time in which refusals may still come."""

_DEADLOCK: Final = ("deadlock", "serialize", "40P01", "40001")


def one_job_for_each_key(evidence: Evidence) -> list[str]:
    """Every accepted submit is there once, and every answer to its key named the same job."""
    wrong = [f"{name} was never accepted" for name in evidence.given_up]
    told: dict[str, set[str]] = defaultdict(set)
    for operation in evidence.operations:
        if operation.verb == "POST /jobs" and operation.status == 202:
            told[operation.subject].add(operation.job)
    made: dict[str, list[str]] = defaultdict(list)
    for job in evidence.jobs:
        made[_key_of(job["labels"])].append(job["id"])
    for key, answers in told.items():
        if len(made[key]) != 1 or answers != set(made[key]):
            wrong.append(f"{key} was answered with {sorted(answers)} and made {made[key]}")
    wrong += [f"{key} made {ids}" for key, ids in made.items() if len(ids) > 1 and key not in told]
    return wrong


def followers_see_all(evidence: Evidence) -> list[str]:
    """A follower of a job sees its whole log; one of an organization a piece of its log without a
    hole, up to the end."""
    whole: dict[str, list[Told]] = defaultdict(list)
    of_job: dict[str, list[Told]] = defaultdict(list)
    for event in evidence.events:
        told = event["job_id"], event["seq"], event["type"]
        whole[event["organization_id"]].append(told)
        of_job[event["job_id"]].append(told)
    wrong: list[str] = []
    for follower in evidence.followed:
        log = of_job[follower.job] if follower.job else whole[follower.organization]
        if fault := _fault_of(follower, log):
            wrong.append(f"{follower.channel} of {follower.job or follower.organization}: {fault}")
    return wrong


def nobody_sees_foreign_things(evidence: Evidence) -> list[str]:
    wrong = [
        f"{operation.verb} of another's: {operation.status}"
        for operation in evidence.operations
        if operation.foreign and operation.status not in {404, 503, None}
    ]
    owners = {job["id"]: job["organization_id"] for job in evidence.jobs}
    for follower in evidence.followed:
        strangers = {job for job, _, _ in follower.seen if owners.get(job) != follower.organization}
        wrong += [f"a follower of {follower.organization} saw {job}" for job in strangers]
    return wrong


def answers_are_proper(evidence: Evidence) -> list[str]:
    """A server error is 503 with ``Retry-After``, and only while something is amiss."""
    wrong: list[str] = []
    for operation in evidence.operations:
        if operation.leak:
            wrong.append(f"{operation.verb} told {operation.leak!r}")
        status = operation.status
        if status is not None and status >= 500 and (status != 503 or not operation.retry_after):
            wrong.append(f"{operation.verb} answered {status}")
        if _refused(operation) and operation.invoked > evidence.calm_since + SETTLING_SECONDS:
            late = operation.invoked - evidence.calm_since
            what = status or operation.fault
            wrong.append(f"{operation.verb}: {what} {late:.0f} s after the last fault")
    wrong += [f"{f.channel} told {f.leak!r}" for f in evidence.followed if f.leak]
    return [*wrong, *(f"{log} holds a secret" for log in evidence.leaks_in_logs)]


def no_deadlock_is_told(evidence: Evidence) -> list[str]:
    return [
        f"{operation.verb} told {operation.leak!r}"
        for operation in evidence.operations
        if any(word in operation.leak for word in _DEADLOCK)
    ]


def _key_of(labels: str) -> str:
    return str(json.loads(labels).get("key", ""))


def _refused(operation: Operation) -> bool:
    return operation.status is None or operation.status == 503


def _fault_of(follower: Followed, log: list[Told]) -> str:
    """What is wrong with what was seen; empty if nothing."""
    seen = list(follower.seen)
    if follower.job is not None and seen[:1] and seen[0] != log[0]:
        return f"it began with {seen[0]}"
    if not seen:
        return "it saw nothing" if log else ""
    if seen[0] not in log:
        return f"{seen[0]} is not in the log"
    start = log.index(seen[0])
    if seen != log[start : start + len(seen)]:
        beside = enumerate(zip_longest(seen, log[start:]))
        place, (saw, told) = next((i, pair) for i, pair in beside if pair[0] != pair[1])
        return f"at {place} it saw {saw}, not {told}"
    told_the_end = follower.job is not None and seen[-1][2] in ENDINGS  # it may be reopened later
    if start + len(seen) != len(log) and not told_the_end:
        return f"it saw {len(seen)} of {len(log) - start}"
    return ""
