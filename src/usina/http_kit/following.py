"""Following the log on behalf of a caller, whatever the channel."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from usina.http_kit.call import Call
from usina.kernel.errors import NotFound
from usina.kernel.events.event import Event, Hint
from usina.kernel.telemetry import FOLLOWERS
from usina.kernel.tenancy.permission import Permission

_CHECK_SECONDS: Final = 5.0
"""Streams say something every 20 s at least, and a gate that was told nothing remembers for 5 s: so
one whose credential has ended ends within 30 s."""


class Standing:
    """Whether the caller of something that lasts may still have it."""

    def __init__(self, call: Call, permission: Permission = Permission.JOBS_READ) -> None:
        self._call = call
        self._permission = permission
        self._clock = asyncio.get_running_loop().time
        self._checked = self._clock()

    async def check(self) -> None:
        """Looks again after a while; asked before each thing that is told.

        Raises ``Unauthorized`` once the credential has expired or was revoked, and ``Forbidden``
        once it does not give the permission any more.
        """
        if self._clock() - self._checked >= _CHECK_SECONDS:
            await self._call.check(self._permission)
            self._checked = self._clock()


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream begins: after ``after``; ``over`` says that nothing comes there any more."""

    epoch: str
    after: int | None
    over: bool


async def start_of(call: Call, job_id: str | None, text: str | None) -> Start:
    """The start that a cursor names; without one a job's first event, and the organization's next.

    Raises ``NotFound`` for the job, ``Gone`` for the cursor.
    """
    ended = False
    if job_id is not None:
        ended = (await call.platform.jobs.get(call.organization_id, job_id)).status.terminal
    events = call.platform.events
    epoch = await events.epoch()
    after = None if text is None else await events.after(call.organization_id, text)
    if after is None and job_id is None:
        after = await events.position(call.organization_id)
    over = (
        ended
        and after is not None
        and not await events.list(call.organization_id, job_id, after, 1)
    )
    return Start(epoch, after, over)


async def following(
    call: Call,
    channel: str,
    job_id: str | None,
    after: int | None,
    permission: Permission = Permission.JOBS_READ,
) -> AsyncGenerator[Event | Hint | None]:
    """As :meth:`EventStream.follow`, counted by channel; it ends too when the job was deleted.

    Raises ``Unauthorized`` soon after the caller's credential has expired or was revoked, and
    ``Forbidden`` once it does not give the permission any more.
    """
    standing = Standing(call, permission)
    followed = call.platform.events.follow(call.organization_id, job_id, after)
    with FOLLOWERS.labels(channel).track_inprogress():
        async with aclosing(followed) as items:
            async for item in items:
                await standing.check()
                if item is None and await _is_gone(call, job_id):
                    return
                yield item


async def _is_gone(call: Call, job_id: str | None) -> bool:
    """Whether the job was deleted while it was followed."""
    if job_id is None:
        return False
    try:
        await call.platform.jobs.get(call.organization_id, job_id)
    except NotFound:
        return True
    return False
