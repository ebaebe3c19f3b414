"""Following the log: catch up from a position, then go on as events come."""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from typing import Final

from usina.kernel.db import meta
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Gone
from usina.kernel.events import cursor
from usina.kernel.events.bus import Bus
from usina.kernel.events.event import JOB_TERMINAL_TYPES, Event, Hint
from usina.kernel.events.log import last_position, newest_ever, read_after
from usina.kernel.events.tail import Tail
from usina.kernel.telemetry import LOG_READS

_BATCH: Final = 500


class EventStream:
    """The log as lists and as streams; every channel is a reader of this and nothing else."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._epoch: str | None = None
        self._tails: dict[str, Tail] = {}

    async def epoch(self) -> str:
        """What cursors of this database begin with."""
        if self._epoch is None:
            self._epoch = await self._database.read(meta.epoch)
        return self._epoch

    async def after(self, organization_id: str, text: str) -> int:
        """The position that a cursor names; raises ``Gone`` for what no event has had as its id."""
        position = cursor.decode(text, await self.epoch())
        if position > await self._database.read(newest_ever, tenant=organization_id):
            raise Gone("This cursor is not of this log; start again without one.")
        return position

    def told(self, organization_id: str) -> int:
        """Up to where the organization's log was handed to its followers here; 0 without any."""
        tail = self._tails.get(organization_id)
        return 0 if tail is None else tail.position

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
        was reopened since). An organization's begins now. Any ends when this process leaves.

        Who follows reads alone until it is where the log ends, and again if it falls behind; there
        one reader reads for all (:class:`Tail`), woken by the bus, and looks every five seconds,
        since a word from another process may be lost.
        """
        if after is None and job_id is None:
            after = await self.position(organization_id)
        with self._tail(organization_id) as tail, tail.joined(job_id) as follower:
            await tail.begun()
            leaves = False
            while not leaves:
                leaves = self._bus.closing
                follower.begin()
                while True:
                    batch = await self._read(organization_id, job_id, after)
                    for event in batch:
                        after = event.position
                        yield event
                    if len(batch) < _BATCH:
                        break
                if job_id and batch and batch[-1].type in JOB_TERMINAL_TYPES:
                    return
                follower.read_to(after)
                while await follower.wait():
                    item = follower.items.popleft()
                    if isinstance(item, Event):
                        after = item.position
                    yield item
                    if job_id and _is_end(item) and not follower.items:
                        return

    async def _read(
        self, organization_id: str, job_id: str | None, after: int | None
    ) -> Sequence[Event]:
        LOG_READS.inc()
        return await self.list(organization_id, job_id, after, _BATCH)

    @contextmanager
    def _tail(self, organization_id: str) -> Generator[Tail]:
        """The organization's tail, which ends with its last follower."""
        tail = self._tails.get(organization_id)
        if tail is None:
            tail = self._tails[organization_id] = Tail(
                self._bus,
                organization_id,
                lambda: self.position(organization_id),
                lambda position: self._read(organization_id, None, position),
                _BATCH,
            )
        try:
            yield tail
        finally:
            if not tail.followed and self._tails.get(organization_id) is tail:
                del self._tails[organization_id]
                tail.stop()


def _is_end(item: Event | Hint | None) -> bool:
    return isinstance(item, Event) and item.type in JOB_TERMINAL_TYPES
