"""The end of one organization's log, read once for all who follow it there.

A follower is handed events as they come, in a buffer with an end. One that does not keep up loses
its buffer and nothing else: what was in it is in the log, from where its reader goes on.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog

from usina.kernel.errors import Unavailable
from usina.kernel.events.bus import Bus, Listener
from usina.kernel.events.event import Event, Hint
from usina.kernel.telemetry import FOLLOWERS_BEHIND

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_MOST_ITEMS: Final = 256
_LOOK_SECONDS: Final = 5.0
_SILENT_LOOKS: Final = 3
_REST_SECONDS: Final = 0.005
"""Between two reads, so that a burst of commits costs few of them."""

Item = Event | Hint | None
"""Null tells of 15 s of silence."""


class Follower:
    """One reader's buffer."""

    __slots__ = ("_ended", "_failure", "_read_to", "_silent", "_waiter", "behind", "items")

    def __init__(self) -> None:
        self.items: deque[Item] = deque()
        self.behind = False
        """More came than the buffer holds: nothing more is handed until the reader begins again."""
        self._read_to = 0
        self._silent = 0
        self._ended = False
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """From now on it is handed what comes; what came before is to be read from the log."""
        self.items.clear()
        self.behind = False

    def read_to(self, position: int | None) -> None:
        """Its reader has read the log up to here, and needs none of that again."""
        self._read_to = position or 0
        handed, self.items = self.items, deque[Item]()
        self.items.extend(item for item in handed if self._is_new(item))

    async def wait(self) -> bool:
        """Until there is an item; false when none comes: it fell behind, or the platform leaves.

        Raises what ended the reading, if something did.
        """
        while not self.items and not self.behind and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._failure is not None:
            raise self._failure
        return bool(self.items)

    def hand(self, event: Event) -> None:
        self._silent = 0
        if not self._is_new(event):
            return
        if len(self.items) < _MOST_ITEMS:
            self._put(event)
        elif not self.behind:
            self.behind = True
            self.items.clear()
            FOLLOWERS_BEHIND.inc()

    def hint(self, hint: Hint) -> None:
        """Of hints that nobody took yet only the newest is kept."""
        self._silent = 0
        if self.items and isinstance(self.items[-1], Hint):
            self.items[-1] = hint
        elif len(self.items) < _MOST_ITEMS:
            self._put(hint)

    def look(self) -> None:
        """Some seconds have passed."""
        self._silent += 1
        if self._silent % _SILENT_LOOKS == 0 and not self.items:
            self._put(None)

    def end(self, failure: Exception | None = None) -> None:
        self._ended = True
        self._failure = failure
        self._wake()

    def _is_new(self, item: Item) -> bool:
        return not isinstance(item, Event) or item.position > self._read_to

    def _put(self, item: Item) -> None:
        if not self.behind:
            self.items.append(item)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Tail:
    """``read`` gives the events after a position, ``full`` at most; ``end`` is where the log ends.

    It is at work while somebody follows, and begins where the log ends then.
    """

    def __init__(
        self,
        bus: Bus,
        organization_id: str,
        end: Callable[[], Awaitable[int]],
        read: Callable[[int], Awaitable[Sequence[Event]]],
        full: int,
    ) -> None:
        self._bus = bus
        self._organization_id = organization_id
        self._end = end
        self._read = read
        self._full = full
        self._position: int | None = None
        self._of_all: set[Follower] = set()
        self._of_job: dict[str, set[Follower]] = {}
        self._began = asyncio.Event()
        self._failure: Exception | None = None
        self._looked = 0.0
        self._reading = asyncio.create_task(self._run())

    @contextmanager
    def joined(self, job_id: str | None) -> Generator[Follower]:
        """A follower of one job, or of all."""
        follower = Follower()
        members = self._of_all if job_id is None else self._of_job.setdefault(job_id, set())
        members.add(follower)
        try:
            if job_id is None:
                yield follower
            else:
                with self._bus.hints(job_id, follower.hint):
                    yield follower
        finally:
            members.discard(follower)
            if job_id is not None and not members:
                self._of_job.pop(job_id, None)

    async def begun(self) -> None:
        """Once it reads on: whoever joined before misses nothing from here."""
        await self._began.wait()
        if self._failure is not None:
            raise self._failure

    @property
    def position(self) -> int:
        """Of the last event that was handed out; 0 before it began."""
        return self._position or 0

    @property
    def followed(self) -> bool:
        return bool(self._of_all or self._of_job)

    def stop(self) -> None:
        self._reading.cancel()

    def _followers(self) -> Iterator[Follower]:
        yield from self._of_all
        for members in self._of_job.values():
            yield from members

    async def _run(self) -> None:
        try:
            with self._bus.listen(self._organization_id) as listener:
                await self._read_on(listener)
        except Exception as error:
            _log.exception("the log can not be followed")
            self._failure = error
        self._began.set()
        for follower in self._followers():
            follower.end(self._failure)

    async def _read_on(self, listener: Listener) -> None:
        """Until the platform leaves; then what was committed by now is told."""
        clock = asyncio.get_running_loop().time
        while True:
            leaving, began = self._bus.closing, clock()
            try:
                while await self._step():
                    pass
            except Unavailable as problem:
                _log.warning("the log can not be read, and is asked again", error=problem.code)
            if leaving:
                return
            self._tell_silence(clock())
            if await listener.wait(_LOOK_SECONDS):
                await asyncio.sleep(max(0.0, began + _REST_SECONDS - clock()))

    async def _step(self) -> bool:
        """Reads once and hands out; whether there may be more."""
        if self._position is None:
            self._position = await self._end()
            self._began.set()
        events = await self._read(self._position)
        for event in events:
            self._position = event.position
            for follower in self._of_all:
                follower.hand(event)
            if event.job_id is not None:
                for follower in self._of_job.get(event.job_id, ()):
                    follower.hand(event)
        return len(events) == self._full

    def _tell_silence(self, now: float) -> None:
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            for follower in self._followers():
                follower.look()
