"""The states of a job, the ways between them, and what happens to a failed attempt."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Status(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL: Final = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})

TRANSITIONS: Final[dict[Status, frozenset[Status]]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.QUEUED, *TERMINAL}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.CANCELLED: frozenset({Status.QUEUED}),
}
"""Out of a terminal state leads only ``retry``, which reopens the job."""


class ErrorCode(StrEnum):
    INVALID_INPUT = "invalid_input"
    RUNNER_FAILED = "runner_failed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    CANCELLED = "cancelled"
    WORKER_LOST = "worker_lost"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


_REPEATED: Final = frozenset({ErrorCode.RUNNER_FAILED, ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL})
MAX_LOST: Final = 5
_LONGEST_DELAY_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class JobError:
    """Why an attempt did not succeed; ``reason`` refines the code."""

    code: ErrorCode
    reason: str | None
    message: str
    retryable: bool

    @classmethod
    def of(
        cls, code: str, reason: str | None, message: str, retryable: bool | None = None
    ) -> "JobError":
        """An error whose ``retryable`` follows from its code unless the runner overrules it."""
        known = ErrorCode(code)
        return cls(known, reason, message, known in _REPEATED if retryable is None else retryable)

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code.value,
            "reason": self.reason,
            "message": self.message,
            "retryable": self.retryable,
        }


def retry_delay_seconds(attempt: int, base_seconds: float, jitter: random.Random) -> float:
    """The wait after a failed attempt: doubled per attempt up to 300 s, 10 % either way."""
    doubled = min(base_seconds * 2 ** min(attempt - 1, 30), _LONGEST_DELAY_SECONDS)
    return doubled * jitter.uniform(0.9, 1.1)
