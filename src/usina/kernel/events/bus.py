"""Wake-ups inside one process: who waits for a job or an organization is told at once.

A wake-up carries no truth. A listener that is woken reads the log; a listener that missed one
reads it at its next look all the same.
"""

import asyncio
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from usina.kernel.events.event import JOB_TERMINAL_TYPES, Hint
from usina.kernel.events.log import NewEvent

_HINTS_KEPT = 32
_UNENDED_KEPT = 20_000


def end_topic(job_id: str) -> str:
    """Woken only when the job ends."""
    return f"end:{job_id}"


class Listener:
    """One waiter. ``settled`` is what a committed change handed to it, if it did."""

    __slots__ = ("_wakeup", "hints", "settled")

    def __init__(self) -> None:
        self._wakeup = asyncio.Event()
        self.hints: deque[Hint] = deque(maxlen=_HINTS_KEPT)
        self.settled: object = None

    def wake(self) -> None:
        self._wakeup.set()

    async def wait(self, seconds: float) -> bool:
        """Until woken (true) or until the time is over (false); what woke it is then forgotten."""
        try:
            async with asyncio.timeout(seconds):
                await self._wakeup.wait()
        except TimeoutError:
            return False
        self._wakeup.clear()
        return True


class Bus:
    """Topics are the ids of jobs and of organizations, and free words such as ``queue:default``."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self._unended: dict[str, str] = {}

    @contextmanager
    def listen(self, *topics: str) -> Generator[Listener]:
        """One listener that any of the topics wakes."""
        listener = Listener()
        for topic in topics:
            self._listeners.setdefault(topic, set()).add(listener)
        try:
            yield listener
        finally:
            for topic in topics:
                self._leave(topic, listener)

    def _leave(self, topic: str, listener: Listener) -> None:
        members = self._listeners[topic]
        members.discard(listener)
        if not members:
            del self._listeners[topic]

    def wake(self, topic: str) -> None:
        for listener in self._listeners.get(topic, ()):
            listener.wake()

    def settle(self, topic: str, state: object) -> None:
        """Hands the state that was just committed to those who wait, so that none has to read."""
        for listener in self._listeners.get(topic, ()):
            listener.settled = state

    def announce(self, new: Sequence[NewEvent]) -> None:
        """Wakes those who follow the events' jobs and organizations."""
        self._remember(new)
        topics = {event.job_id for event in new if event.job_id}
        topics.update(event.organization_id for event in new)
        topics.update(
            end_topic(event.job_id)
            for event in new
            if event.job_id and event.type in JOB_TERMINAL_TYPES
        )
        for topic in topics:
            self.wake(topic)

    def is_unended(self, job_id: str, organization_id: str) -> bool:
        """Whether the job began in this process and has not ended in it, so that one who waits for
        its end need not read first. False when that is not known."""
        return self._unended.get(job_id) == organization_id

    def _remember(self, new: Sequence[NewEvent]) -> None:
        for event in new:
            if event.job_id is None:
                continue
            if event.seq == 1:
                self._unended[event.job_id] = event.organization_id
            elif event.type in JOB_TERMINAL_TYPES:
                self._unended.pop(event.job_id, None)
        while len(self._unended) > _UNENDED_KEPT:
            del self._unended[next(iter(self._unended))]

    def hint(self, hint: Hint) -> None:
        """Hands a fine step to those who follow the job right now."""
        for listener in self._listeners.get(hint.job_id, ()):
            listener.hints.append(hint)
            listener.wake()

    def has_listeners(self, topic: str) -> bool:
        return topic in self._listeners
