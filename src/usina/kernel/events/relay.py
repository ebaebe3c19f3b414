"""The bus between processes: what one tells its own waiters, it tells the others through Redis.

What is told while a message is on its way goes with the next one: under load many wake-ups cost one
message. Of a job's fine steps only the newest is sent. There are two channels, so that nobody hears
what he has no ear for: one for workers, of what they are asked; one for everybody else, of the log.
"""

import asyncio
from collections.abc import Collection
from typing import Any, Final

import structlog
from pydantic_core import from_json, to_json

from usina.kernel.events.bus import Bus, is_for_workers
from usina.kernel.events.event import Hint
from usina.kernel.failpoints import reach
from usina.kernel.ids import new_id
from usina.kernel.redis import Channels

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_MOST_TOPICS: Final = 10_000
_LAST_SECONDS: Final = 1.0


class RedisRelay:
    """Joins a bus to those of the other processes of the same platform; that of a process that
    ``works`` hears what workers are asked, and any other the log."""

    def __init__(self, url: str, platform_id: str, bus: Bus, *, works: bool) -> None:
        self._bus = bus
        self._me = new_id()
        self._log = f"usina:{platform_id}"
        self._work = f"usina:{platform_id}:work"
        its_own = self._work if works else self._log
        self._channels = Channels(url, its_own, self._hear, bus.hear_anything)
        self._topics: set[str] = set()
        self._hints: dict[str, Hint] = {}
        self._sending: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._channels.start()
        self._bus.join(self)

    async def stop(self) -> None:
        """What could not be sent within a moment is lost, as it may be at any time."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=_LAST_SECONDS)
            self._sending.cancel()
        await self._channels.stop()

    @property
    def answers(self) -> bool:
        """Whether Redis answered when it was last spoken to."""
        return self._channels.answers

    def topics(self, topics: Collection[str]) -> None:
        self._topics.update(topics)
        self._send_soon()

    def hint(self, hint: Hint) -> None:
        self._hints[hint.job_id] = hint
        self._send_soon()

    def _send_soon(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self._topics or self._hints:
            topics, self._topics = self._topics, set()
            hints, self._hints = self._hints, {}
            asked = [topic for topic in topics if is_for_workers(topic)]
            told: dict[str, bytes] = {}
            if asked:
                told[self._work] = self._message(asked, ())
            if hints or len(asked) < len(topics):
                told[self._log] = self._message(topics.difference(asked), hints.values())
            reach("relay.before_publish")
            await self._channels.send(told)
            reach("relay.after_publish")

    def _message(self, topics: Collection[str], hints: Collection[Hint]) -> bytes:
        return to_json(
            {
                "from": self._me,
                "topics": list(topics)[:_MOST_TOPICS],
                "hints": [[hint.job_id, hint.type, hint.data] for hint in hints],
            }
        )

    def _hear(self, message: bytes) -> None:
        try:
            told: dict[str, Any] = from_json(message)
            if told["from"] == self._me:
                return
            hints = [Hint(*hint) for hint in told["hints"]]
            topics = [str(topic) for topic in told["topics"]]
        except (ValueError, KeyError, TypeError):
            _log.warning("a message that is none of ours came over Redis")
            return
        for hint in hints:
            self._bus.hear_hint(hint)
        self._bus.hear(topics)
