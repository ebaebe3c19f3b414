"""Checks of the store, the machine and the queue."""

import signal
from typing import Final

from tests.torture.rig.evidence import Evidence

LONGEST_WAIT_SECONDS: Final = 60.0


def objects_are_as_told(evidence: Evidence) -> list[str]:
    wrong: list[str] = []
    for key, told in evidence.named_objects.items():
        found = evidence.objects.get(key)
        if found is None:
            wrong.append(f"{key} is gone")
        elif found != told:
            wrong.append(f"{key} is {found}, its row says {told}")
    return wrong


def no_orphans(evidence: Evidence) -> list[str]:
    return [f"{key} is nobody's" for key in evidence.objects.keys() - evidence.named_objects.keys()]


_ORDERLY = {0, -signal.SIGTERM}
"""A second TERM may meet a process when it has done everything and is on its way out."""


def nothing_is_left(evidence: Evidence) -> list[str]:
    """And no process ended without being killed or told to."""
    wrong = [f"{left} is left" for left in evidence.leftovers]
    for death in evidence.deaths:
        if death.was_ready and not death.cause and not death.deaf:
            wrong.append(f"{death.member} ended by itself with {death.code}")
        orderly = death.cause == "TERM" and death.was_ready and not death.deaf
        if orderly and death.code not in _ORDERLY:
            wrong.append(f"{death.member} ended with {death.code} on TERM")
    return wrong


def nothing_waits_for_ever(evidence: Evidence) -> list[str]:
    oldest = evidence.oldest_wait_seconds
    if oldest > LONGEST_WAIT_SECONDS:
        return [f"a job that could be claimed waited {oldest:.0f} s"]
    return []
