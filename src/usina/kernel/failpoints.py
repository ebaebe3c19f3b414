"""Named places where a test may kill the process.

``USINA_FAILPOINTS=finish.in_transaction:2`` kills this process with SIGKILL the second time that
the place is reached. Unset, a place costs one dictionary look-up. Every name is declared here, so
that the torture suite can visit each.
"""

import os
import signal
from typing import Final

NAMES: Final = frozenset(
    {
        "upload.after_put",
        "upload.before_commit",
        "submit.before_insert",
        "submit.after_insert",
        "submit.after_commit",
        "claim.in_transaction",
        "claim.after_commit",
        "run.before_spawn",
        "run.after_progress",
        "heartbeat.in_transaction",
        "checkpoint.after_put",
        "checkpoint.in_transaction",
        "collect.after_put",
        "reuse.after_copy",
        "reuse.in_transaction",
        "reuse.after_commit",
        "finish.before_transaction",
        "finish.in_transaction",
        "finish.after_commit",
        "cancel.after_commit",
        "rescue.in_transaction",
        "reopen.after_commit",
        "delete.after_commit",
        "fire.in_transaction",
        "fire.after_commit",
        "hook.in_handover",
        "hook.after_post",
        "hook.before_record",
        "stop.after_told",
        "stop.before_hand_back",
        "sweep.after_object",
        "copy.after_mark",
        "copy.after_object",
        "copy.in_transaction",
        "copy.after_rows",
        "copy.after_commit",
        "rescue.after_commit",
    }
)
"""Places that every platform gets to."""

DISTRIBUTED: Final = frozenset(
    {
        "relay.before_publish",
        "relay.after_publish",
        "celery.before_publish",
        "celery.after_publish",
        "session.after_lock",
        "cut.in_transaction",
        "handback.in_transaction",
    }
)
"""Places that only one of many processes gets to."""

ROOMS: Final = frozenset(
    {
        "photo.after_arrival",
        "erase.after_objects",
        "bed.after_commit",
        "bed.after_mark",
        "bed.after_objects",
        "simulation.after_commit",
    }
)
"""Places that only a room gets to, whose own tests kill there."""


def _armed() -> dict[str, int]:
    """The places of ``USINA_FAILPOINTS`` with the visits that are left before the kill."""
    armed: dict[str, int] = {}
    for entry in filter(None, os.environ.get("USINA_FAILPOINTS", "").split(",")):
        name, _, visit = entry.partition(":")
        if name not in NAMES | DISTRIBUTED | ROOMS:
            known = ", ".join(sorted(NAMES | DISTRIBUTED | ROOMS))
            raise ValueError(f"USINA_FAILPOINTS names {name!r}; known are {known}")
        armed[name] = int(visit or 1)
    return armed


_left: Final = _armed()


def reach(name: str) -> None:
    """Dies here if the environment says so."""
    left = _left.get(name)
    if left is None:
        return
    _left[name] = left - 1
    if left == 1:
        os.kill(os.getpid(), signal.SIGKILL)
