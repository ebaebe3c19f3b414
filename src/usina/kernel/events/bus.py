"""Wake-ups: who waits for a job, an organization or a queue is told at once.

A wake-up carries no truth. A listener that is woken reads the log; a listener that missed one
reads it at its next look all the same. Inside one process the bus is all there is; with a relay,
what is told here is told in the other processes too.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from typing import Protocol

from usina.kernel.events.event import JOB_TERMINAL_TYPES, Hint
from usina.kernel.events.log import NewEvent
from usina.kernel.events.outbox import OUTBOX_TOPIC

_HINTS_KEPT = 32
_UNENDED_KEPT = 20_000
_END = "end:"
_FOR_WORKERS = "queue:", "cancel:", "worker:", "forget:"


def end_topic(job_id: str) -> str:
    """Woken only when the job ends."""
    return f"{_END}{job_id}"


def queue_topic(queue: str) -> str:
    """Woken when the queue may have something to claim."""
    return f"queue:{queue}"


def cancel_topic(job_id: str) -> str:
    """Woken when the running job is to stop."""
    return f"cancel:{job_id}"


def forget_topic(organization_id: str) -> str:
    """Woken when warm programs of the organization should leave with what they remember."""
    return f"forget:{organization_id}"


def worker_topic(worker_id: str) -> str:
    """Woken when something is asked of the worker."""
    return f"worker:{worker_id}"


def is_for_workers(topic: str) -> bool:
    """Whether the topic is something that a worker is asked."""
    return topic.startswith(_FOR_WORKERS)


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


class Relay(Protocol):
    """The way to the buses of other processes. Both calls are cheap and may lose what they take."""

    def topics(self, topics: Collection[str]) -> None: ...

    def hint(self, hint: Hint) -> None: ...


class _Nowhere:
    """There is no other process."""

    def topics(self, topics: Collection[str]) -> None: ...

    def hint(self, hint: Hint) -> None: ...


class Bus:
    """Topics are the ids of jobs and of organizations, and words such as ``queue:default``."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self._taps: dict[str, Callable[[str], None]] = {}
        self._unended: dict[str, str] = {}
        self._relay: Relay = _Nowhere()
        self.closing = False
        """Nobody is to wait any more: this process leaves."""

    def close(self) -> None:
        """Ends every wait: who waited answers with what there is."""
        self.closing = True
        self.hear_anything()

    def join(self, relay: Relay) -> None:
        """From now on other processes are told too."""
        self._relay = relay

    def tap(self, kind: str, told: Callable[[str], None]) -> None:
        """Calls ``told`` with the rest of every topic that is woken and begins with ``kind:``."""
        self._taps[kind] = told

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
        self._wake_here(topic)
        self._relay.topics((topic,))

    def hear(self, topics: Collection[str]) -> None:
        """What another process told."""
        for topic in topics:
            self._wake_here(topic)
            if topic.startswith(_END):
                self._unended.pop(topic.removeprefix(_END), None)

    def hear_hint(self, hint: Hint) -> None:
        for listener in self._listeners.get(hint.job_id, ()):
            listener.hints.append(hint)
            listener.wake()

    def hear_anything(self) -> None:
        """Something may have been told and not heard: everybody looks."""
        self._unended.clear()
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.wake()

    def _wake_here(self, topic: str) -> None:
        for listener in self._listeners.get(topic, ()):
            listener.wake()
        kind, mark, rest = topic.partition(":")
        if mark and (told := self._taps.get(kind)) is not None:
            told(rest)

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
        if any(event.callback_url is not None for event in new):
            topics.add(OUTBOX_TOPIC)
        for topic in topics:
            self._wake_here(topic)
        self._relay.topics(topics)

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
        self.hear_hint(hint)
        self._relay.hint(hint)

    def has_listeners(self, topic: str) -> bool:
        return topic in self._listeners
