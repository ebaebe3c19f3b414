"""Following the log: catch up from a position, then go on as events come."""

from collections.abc import AsyncGenerator
from typing import Final

from usina.kernel.db import meta
from usina.kernel.db.unit_of_work import Database
from usina.kernel.events.bus import Bus
from usina.kernel.events.event import JOB_TERMINAL_TYPES, Event, Hint
from usina.kernel.events.log import last_position, read_after

_BATCH: Final = 500
_LOOK_SECONDS: Final = 5.0
_SILENT_LOOKS: Final = 3


class EventStream:
    """The log as lists and as streams; every channel is a reader of this and nothing else."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._epoch: str | None = None

    async def epoch(self) -> str:
        """What cursors of this database begin with."""
        if self._epoch is None:
            self._epoch = await self._database.read(meta.epoch)
        return self._epoch

    async def position(self, organization_id: str) -> int:
        """Where the organization's log ends now."""
        return await self._database.read(
            lambda tx: last_position(tx, organization_id), tenant=organization_id
        )

    async def list(
        self, organization_id: str, job_id: str | None, after: int | None, limit: int
    ) -> list[Event]:
        return await self._database.read(
            lambda tx: read_after(tx, organization_id, job_id, after, limit),
            tenant=organization_id,
        )

    async def follow(
        self, organization_id: str, job_id: str | None, after: int | None
    ) -> AsyncGenerator[Event | Hint | None]:
        """Everything after ``after``, then everything new; null after 15 s of silence.

        A job's stream begins at its first event and ends after its terminal one (unless the job
        was reopened since). An organization's begins now. Any ends when this process leaves. The
        bus wakes the reader; in the silence it looks every five seconds, since a word from another
        process may be lost.
        """
        if after is None and job_id is None:
            after = await self.position(organization_id)
        silent = 0
        with self._bus.listen(job_id or organization_id) as listener:
            while True:
                batch = await self.list(organization_id, job_id, after, _BATCH)
                for event in batch:
                    after = event.position
                    yield event
                if len(batch) == _BATCH:
                    continue
                if job_id and batch and batch[-1].type in JOB_TERMINAL_TYPES:
                    return
                if self._bus.closing:
                    return
                woken = await listener.wait(_LOOK_SECONDS)
                while listener.hints:
                    yield listener.hints.popleft()
                silent = 0 if woken else silent + 1
                if silent and silent % _SILENT_LOOKS == 0:
                    yield None
