"""The deliverer: makes deliveries of what is to be told and sends those that are due.

Woken by the commit that it waits for; whatever is lost on that way, it looks every few seconds. Any
number of them work side by side.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from pydantic_core import to_json

from usina.kernel.clock import Clock, rfc3339
from usina.kernel.db import meta
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import Unavailable
from usina.kernel.events import cursor
from usina.kernel.events.bus import Bus, Listener
from usina.kernel.events.event import JOB_TYPES
from usina.kernel.events.outbox import OUTBOX_TOPIC
from usina.kernel.failpoints import reach
from usina.kernel.telemetry import WEBHOOK_ATTEMPTS, WEBHOOK_SECONDS
from usina.kernel.webhooks import attempt as attempts
from usina.kernel.webhooks.attempt import Claimed, Room
from usina.kernel.webhooks.delivery import Attempt
from usina.kernel.webhooks.endpoint import listening_organizations
from usina.kernel.webhooks.handover import Documents, hand_over, is_behind
from usina.kernel.webhooks.post import Poster, Reply
from usina.kernel.webhooks.secret import secret_text
from usina.kernel.webhooks.sign import headers_of

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_LOOK_SECONDS: Final = 5.0
_GATHER_SECONDS: Final = 0.02
"""What is told together is handed over together: many commits, one look."""

_AGAIN_SECONDS: Final = 1.0
_LEAVING_SECONDS: Final = 1.0
_RECORD_TRIES: Final = 30
_PER_PLACE: Final = 8
WEBHOOKS_TOPIC: Final = "webhooks"
"""Woken when an endpoint or a delivery was changed by hand."""


@dataclass(frozen=True, slots=True)
class DeliverOptions:
    """How much is sent at once, how long a claim holds, when an endpoint has failed for long."""

    concurrency: int
    lease: timedelta
    disable_after: timedelta


@dataclass(frozen=True, slots=True)
class _Look:
    behind: bool
    due: bool
    next_due: datetime | None
    now: datetime
    organizations: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Until there may be something to do again, whether anybody wakes us or not."""
        if self.next_due is None:
            return _LOOK_SECONDS
        return min(_LOOK_SECONDS, (self.next_due - self.now).total_seconds())


OwnWords = Callable[[Transaction, str, Mapping[str, Any]], Mapping[str, Any] | None]
"""What a room has to say to the ``callback_url`` of an organization's job, whose document it is
given, in place of the usual body; null for jobs that are none of the room's."""


class Deliverer:
    """``link`` signs the address of an artifact, ``secret`` is the platform's own."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        clock: Clock,
        poster: Poster,
        documents: Documents,
        link: Callable[[str], str],
        secret: bytes,
        options: DeliverOptions,
        own_words: Sequence[OwnWords] = (),
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._poster = poster
        self._documents = documents
        self._link = link
        self._secret = secret
        self._options = options
        self._own_words = own_words
        most = options.concurrency
        per_place = min(_PER_PLACE, max(1, most // 4))
        self._room = Room(most, per_place, max(1, most // 2))
        self._epoch: str | None = None
        self._sending: dict[asyncio.Task[None], Claimed] = {}
        self._listener: Listener | None = None
        self._turning: asyncio.Task[None] | None = None

    async def start(self, *, take_over: bool) -> None:
        """Begins to work. ``take_over`` says that nobody else can be sending."""
        if take_over:
            await self._database.write(attempts.take_over)
        self._turning = asyncio.create_task(self._turn_for_ever())

    async def stop(self) -> None:
        """What is being sent has a moment; what is broken off then is due again at once."""
        if self._turning is not None:
            self._turning.cancel()
            await asyncio.gather(self._turning, return_exceptions=True)
        if self._sending:
            await asyncio.wait(self._sending, timeout=_LEAVING_SECONDS)
        broken = dict(self._sending)
        for task in broken:
            task.cancel()
        await asyncio.gather(*broken, return_exceptions=True)
        if broken:
            with contextlib.suppress(Unavailable):
                held = list(broken.values())
                await self._database.write(lambda tx: attempts.give_back(tx, held))

    async def turn(self) -> None:
        """Hands over all that is to be told, and begins to send what is due."""
        while await self._database.write(lambda tx: hand_over(tx, self._documents)):
            pass
        await self._send_due()

    async def settle(self) -> None:
        """Returns once nothing is being sent and nothing is due that could be."""
        while self._sending or await self._send_due():
            await asyncio.wait(self._sending)

    async def _turn_for_ever(self) -> None:
        while True:
            try:
                await self._look_and_wait()
            except Exception:
                _log.exception("the deliverer broke; it goes on in a second")
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _look_and_wait(self) -> None:
        organizations = await self._database.read(listening_organizations)
        with self._bus.listen(OUTBOX_TOPIC, WEBHOOKS_TOPIC, *organizations) as listener:
            self._listener = listener
            while True:
                look = await self._database.read(_look)
                if look.behind:
                    await self.turn()
                elif look.due:
                    await self._send_due()
                if look.organizations != organizations:
                    return
                if await listener.wait(look.seconds):
                    await asyncio.sleep(_GATHER_SECONDS)

    async def _send_due(self) -> bool:
        """Begins to send what there is room for; whether that was anything."""
        room, lease = self._room, self._options.lease

        def unit(tx: Transaction) -> list[Claimed]:
            return attempts.claim(tx, room.copy(), lease)

        claimed = await self._database.write(unit)
        for each in claimed:
            room.take(each.place, each.organization_id)
            task = asyncio.create_task(self._attempt(each))
            self._sending[task] = each
            task.add_done_callback(self._sent)
        return bool(claimed)

    def _sent(self, task: asyncio.Task[None]) -> None:
        over = self._sending.pop(task)
        self._room.leave(over.place, over.organization_id)
        if self._listener is not None:
            self._listener.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an attempt at a webhook could not be recorded", exc_info=error)

    async def _attempt(self, claimed: Claimed) -> None:
        """What breaks on our side counts too, so that it is given up in the end."""
        try:
            await self._send(claimed)
        except Exception:
            _log.exception("an attempt at a webhook broke", delivery_id=claimed.id)
            message = "The platform could not send the request."
            await self._record(claimed, Reply(0.0, error="internal", message=message))

    async def _send(self, claimed: Claimed) -> None:
        body = await self._body(claimed)
        moment = self._clock.now()
        owner = claimed.salts.owner_id
        secrets = [secret_text(self._secret, owner, salt) for salt in claimed.salts.signing(moment)]
        headers = {**headers_of(claimed.id, moment, body, secrets), **await self._named(claimed)}
        reply = await self._poster.post(claimed.url, headers, body)
        reach("hook.after_post")
        WEBHOOK_SECONDS.observe(reply.duration_seconds)
        WEBHOOK_ATTEMPTS.labels(reply.error or "delivered").inc()
        await self._record(claimed, reply)

    async def _named(self, claimed: Claimed) -> dict[str, str]:
        """Which event it tells of: its id, as on every channel, and its number in its job. In
        headers, since whose body it is has no room for them."""
        if claimed.position is None:
            return {}
        if self._epoch is None:
            self._epoch = await self._database.read(meta.epoch)
        named = {"usina-event-id": cursor.encode(self._epoch, claimed.position)}
        return named if claimed.seq is None else named | {"usina-event-seq": str(claimed.seq)}

    async def _body(self, claimed: Claimed) -> bytes:
        """The event as it is told, with links that are good from now on."""
        data = claimed.data
        if claimed.type in JOB_TYPES:
            signed = [{**each, "url": self._link(each["id"])} for each in data["artifacts"]]
            data = {**data, "artifacts": signed}
            own = await self._said_by_a_room(claimed, data)
            if own is not None:
                return to_json(own, inf_nan_mode="null")
        told = {"type": claimed.type, "timestamp": rfc3339(claimed.at), "data": data}
        return to_json(told, inf_nan_mode="null")

    async def _said_by_a_room(
        self, claimed: Claimed, job: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """A room speaks to callbacks alone; an endpoint hears of every job alike."""
        if claimed.endpoint_id is not None or not self._own_words:
            return None
        tenant = claimed.organization_id

        def ask(tx: Transaction) -> Mapping[str, Any] | None:
            said = (words(tx, tenant, job) for words in self._own_words)
            return next((own for own in said if own is not None), None)

        return await self._database.read(ask, tenant=tenant)

    async def _record(self, claimed: Claimed, reply: Reply) -> None:
        """Tries again while the database is away: what is not recorded is sent once more."""
        made = Attempt(
            claimed.now,
            round(reply.duration_seconds, 3),
            reply.status_code,
            reply.error,
            reply.message,
            reply.answer,
        )
        after, announce = self._options.disable_after, self._bus.announce

        def unit(tx: Transaction) -> None:
            reach("hook.before_record")
            attempts.record(tx, claimed, made, reply.wait, after, announce)

        for _ in range(_RECORD_TRIES):
            try:
                await self._database.write(unit)
                return
            except Unavailable:
                await asyncio.sleep(_AGAIN_SECONDS)


def _look(tx: Transaction) -> _Look:
    return _Look(
        is_behind(tx),
        attempts.is_due(tx),
        attempts.next_due(tx),
        tx.now,
        listening_organizations(tx),
    )
