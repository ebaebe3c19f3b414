"""Why a job waits, in words."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from usina_client import Job

_REASONS: Final = {
    "slot": "every slot is busy",
    "retry_delay": "until the next attempt",
    "queue_paused": "the queue is paused",
    "no_worker": "no worker can run it now; usina models {model} says why",
    "quota": "the organization's quota is used up",
}


def reason_in_words(job: "Job") -> str:
    """Empty for a job that does not wait."""
    reason = job.waiting_reason or ""
    return _REASONS.get(reason, reason).format(model=job.model)
