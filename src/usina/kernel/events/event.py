"""One line of the event log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

JOB_TYPES: Final = (
    "job.queued",
    "job.running",
    "job.progress",
    "job.artifact",
    "job.retrying",
    "job.cancelling",
    "job.succeeded",
    "job.failed",
    "job.cancelled",
)
"""Every type of a job's events, in the order of its life."""

JOB_TERMINAL_TYPES: Final = frozenset({"job.succeeded", "job.failed", "job.cancelled"})


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Event:
    """``position`` orders the whole log; ``seq`` counts a job's events from 1 without a gap.

    It is itself alone: what a channel makes of it is kept by it, for all who are told of it.
    """

    position: int
    organization_id: str
    job_id: str | None
    seq: int | None
    type: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Hint:
    """A finer step that only the live channels show; it is not in the log."""

    job_id: str
    type: str
    data: Mapping[str, Any]
