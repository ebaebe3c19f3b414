"""The log in the origins' dress: what the WebSocket says of an event."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from usina.http_kit.call import Call
from usina.http_kit.event import event_document
from usina.http_kit.job import job_document
from usina.http_kit.reply import json_bytes
from usina.kernel.errors import NotFound
from usina.kernel.events.event import Event

_DRESS: Final[Mapping[str, str]] = {
    "device.status": "device_status_update",
    "event.created": "new_event",
    "detections.batch": "new_detections",
    "pipeline.status": "pipeline_status_update",
}
_MOST_JOBS: Final = 1000
_JOB_SECONDS: Final = 10.0


class _Known(NamedTuple):
    """A job as JSON. It is not older than any event up to ``position``."""

    position: int
    until: float
    text: bytes


class _Making:
    """A message that one makes and others wait for."""

    __slots__ = ("done", "text")

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.text: str | None = None


class Dresser:
    """Makes each event's message once, for all who are told of it."""

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[Event, str] = WeakKeyDictionary()
        self._making: WeakKeyDictionary[Event, _Making] = WeakKeyDictionary()
        self._jobs: dict[str, _Known] = {}

    def made(self, event: Event) -> str | None:
        """The message, if it was made; costs no task switch."""
        return self._made.get(event)

    async def message(self, event: Event, epoch: str, call: Call) -> str:
        while (making := self._making.get(event)) is not None:
            await making.done.wait()
            if making.text is not None:
                return making.text
        self._making[event] = making = _Making()
        try:
            making.text = self._made[event] = await self._make(event, epoch, call)
        finally:  # who failed, or left, lets another one try
            del self._making[event]
            making.done.set()
        return making.text

    async def _make(self, event: Event, epoch: str, call: Call) -> str:
        document = event_document(event, epoch, call.link)
        if event.job_id is None:
            kind = _DRESS.get(event.type, event.type)
            told: dict[str, Any] = {"timestamp": int(event.at.timestamp()), **event.data}
            return json_bytes({**told, "type": kind, "cursor": document["id"]}).decode()
        job = await self._job(event.job_id, event, call)
        cursor, shown = json_bytes(document["id"]), json_bytes(document)
        message = b'{"type":"job_update","cursor":%s,"job":%s,"event":%s}'
        return (message % (cursor, job, shown)).decode()

    async def _job(self, job_id: str, event: Event, call: Call) -> bytes:
        """The job at or after the event; null once it was deleted."""
        now = asyncio.get_running_loop().time()
        known = self._jobs.get(job_id)
        if known is not None and known.position >= event.position and known.until > now:
            return known.text
        told = call.platform.events.told(call.organization_id)
        try:
            job = await call.platform.jobs.get(call.organization_id, job_id)
        except NotFound:
            return b"null"
        text = json_bytes(job_document(job, call.link))
        if len(self._jobs) >= _MOST_JOBS:
            self._jobs.clear()
        self._jobs[job_id] = _Known(max(told, event.position), now + _JOB_SECONDS, text)
        return text
