"""Why a job waits, in words."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from usina_client import Job

_REASONS: Final = {
    "slot": "every slot is busy",
    "retry_delay": "until the next attempt",
    "queue_paused": "the queue is paused",
    "no_worker": "no worker takes from its queue",
    "quota": "the organization's quota is used up",
}


def reason_in_words(job: "Job") -> str:
    """Empty for a job that does not wait."""
    return _REASONS.get(job.waiting_reason or "", job.waiting_reason or "")
