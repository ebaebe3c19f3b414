"""What must be true of every run. Each check reads the evidence and says in words what is broken.

A check that can not fail proves nothing: `test_checker.py` gives each of them a broken history.
"""

from collections.abc import Callable, Mapping
from typing import Final

from tests.torture.rig.checker import client, job, place
from tests.torture.rig.evidence import Evidence

Check = Callable[[Evidence], list[str]]

CHECKS: Final[Mapping[str, Check]] = {
    "I1 one job for each accepted key": client.one_job_for_each_key,
    "I2 every job has ended": job.every_job_has_ended,
    "I3 no job succeeds twice": job.no_job_succeeds_twice,
    "I4 a stale attempt leaves no trace": job.stale_attempts_leave_no_trace,
    "I5 attempts are counted as promised": job.attempts_are_counted,
    "I6 only the ways of the state diagram": job.only_known_ways,
    "I7 each log is 1..n with one ending an opening": job.logs_are_whole,
    "I8 followers see all, once, in order": client.followers_see_all,
    "I9 every object is what its row says": place.objects_are_as_told,
    "I10 no orphans after a sweep": place.no_orphans,
    "I11 a success has all of its files, a failure none": job.manifests_are_complete,
    "I13 nobody sees another organization's": client.nobody_sees_foreign_things,
    "I15 nothing is left running or open": place.nothing_is_left,
    "I16 nothing waits for ever": place.nothing_waits_for_ever,
    "I17 refusals are proper and tell no secret": client.answers_are_proper,
    "I18 what was cancelled stays so": job.cancelled_stays_cancelled,
    "I19 nobody hears of deadlocks": client.no_deadlock_is_told,
}


def broken(evidence: Evidence) -> dict[str, list[str]]:
    """By check what is wrong; empty when all is well."""
    found = {name: check(evidence) for name, check in CHECKS.items()}
    return {name: wrong for name, wrong in found.items() if wrong}
