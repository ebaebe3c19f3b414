"""A customer's photos as they move on: the event log, in the words of the origin."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

from usina.apps.avatars.customer.service import Customers
from usina.apps.avatars.customer.status import photo_document
from usina.http_kit.call import Call
from usina.http_kit.following import following
from usina.kernel.errors import NotFound
from usina.kernel.events import cursor
from usina.kernel.events.event import JOB_TERMINAL_TYPES, Event
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import Status
from usina.kernel.tenancy.permission import Permission

_EARLIER: Final = {
    "job.queued": Status.QUEUED,
    "job.retrying": Status.QUEUED,
    "job.running": Status.RUNNING,
}
_REMEMBERED: Final = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """One change of one photo; ``id`` is the cursor to go on after."""

    id: str
    document: dict[str, Any]
    terminal: bool


async def follow_customer(
    call: Call, channel: str, name: str, after: int | None, job_id: str | None = None
) -> AsyncGenerator[Told | None]:
    """What happens to the customer's photos after a position, or from now on; null in silence.

    With ``job_id`` only that photo, from its first event on, to its end. Ends too when the
    customer was erased. Raises ``Unauthorized`` soon after the caller's credential has ended.
    """
    customers = Customers(call.platform, call.caller)
    epoch = await call.platform.events.epoch()
    known: dict[str, bool] = {}
    followed = following(call, channel, job_id, after, Permission.APPS_READ)
    async with aclosing(followed) as items:
        async for item in items:
            if item is None:
                if await _is_gone(customers, name):
                    return
                yield None
            elif isinstance(item, Event) and _matters(item):
                job = await _job_of(customers, name, item.job_id or "", known)
                if job is not None:
                    document = photo_document(_as_of(item, job), name, call.link)
                    ended = item.type in JOB_TERMINAL_TYPES
                    yield Told(cursor.encode(epoch, item.position), document, ended)


def _matters(event: Event) -> bool:
    return event.type in _EARLIER or event.type in JOB_TERMINAL_TYPES


async def _job_of(
    customers: Customers, name: str, job_id: str, known: dict[str, bool]
) -> Job | None:
    """The job, if it is of a photo of the customer; who has none is remembered."""
    if known.get(job_id) is False:
        return None
    try:
        job, _ = await customers.photo(name, job_id)
    except NotFound:
        if len(known) >= _REMEMBERED:
            known.clear()
        known[job_id] = False
        return None
    return job


def _as_of(event: Event, job: Job) -> Job:
    """The job as it was then, should it have moved on meanwhile."""
    status = _EARLIER.get(event.type)
    if status is None or job.status is status:
        return job
    return replace(job, status=status, error=None, finished_at=None)


async def _is_gone(customers: Customers, name: str) -> bool:
    try:
        await customers.get(name)
    except NotFound:
        return True
    return False
