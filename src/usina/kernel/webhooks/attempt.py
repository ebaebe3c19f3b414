"""Attempts at deliveries in the database: claiming what is due, recording what came of it.

A claim moves a delivery's moment to the claim's own end and leaves a token. So two senders never
have one delivery at once, and what a dead one held is due again by itself. Whoever records shows
the token; a claim that ran out has changed hands.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.log import Announce
from usina.kernel.ids import new_id
from usina.kernel.webhooks.delivery import (
    TEST,
    Attempt,
    DeliveryStatus,
    attempts_as_json,
    attempts_of,
    next_attempt,
)
from usina.kernel.webhooks.endpoint import DisabledReason, Endpoint, disable, of_id, of_ids
from usina.kernel.webhooks.secret import Salts, salts_of
from usina.kernel.webhooks.table import PENDING, webhook_deliveries, webhook_endpoints

_NO_WAIT: Final = timedelta(0)
_MOST_COUNTED: Final = 10_000
_THROTTLED: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is this sender's until ``token``, its claim's, is another's."""

    id: str
    token: str
    organization_id: str
    endpoint_id: str | None
    position: int | None
    seq: int | None
    type: str
    at: datetime
    data: dict[str, Any]
    url: str
    place: str
    salts: Salts
    """Of the endpoint's own secret, else of its organization's."""
    now: datetime


@dataclass(slots=True)
class Room:
    """How much more a sender may send at once: in all, to one place, for one organization."""

    free: int
    per_place: int
    per_organization: int
    places: dict[str, int] = field(default_factory=dict[str, int])
    organizations: dict[str, int] = field(default_factory=dict[str, int])

    def take(self, place: str, organization_id: str) -> bool:
        """Whether there was room, which is then taken."""
        there = self.places.get(place, 0)
        theirs = self.organizations.get(organization_id, 0)
        if self.free <= 0 or there >= self.per_place or theirs >= self.per_organization:
            return False
        self.free -= 1
        self.places[place] = there + 1
        self.organizations[organization_id] = theirs + 1
        return True

    def leave(self, place: str, organization_id: str) -> None:
        self.free += 1
        for counts, key in ((self.places, place), (self.organizations, organization_id)):
            counts[key] -= 1
            if not counts[key]:
                del counts[key]

    def copy(self) -> "Room":
        """The same, to be tried out in a transaction that may not come to its end."""
        return replace(self, places=dict(self.places), organizations=dict(self.organizations))

    @property
    def full_places(self) -> list[str]:
        return sorted(each for each, count in self.places.items() if count >= self.per_place)

    @property
    def full_organizations(self) -> list[str]:
        most = self.per_organization
        return sorted(each for each, count in self.organizations.items() if count >= most)


def is_due(tx: Transaction) -> bool:
    """Whether any delivery is due; it may be that it has to wait for another."""
    due = webhook_deliveries.c.next_at <= tx.now
    return bool(tx.execute(sa.select(sa.exists().where(PENDING, due))).scalar_one())


def next_due(tx: Transaction) -> datetime | None:
    """When the next delivery that is not due yet will be."""
    later = webhook_deliveries.c.next_at > tx.now
    first = sa.select(sa.func.min(webhook_deliveries.c.next_at)).where(PENDING, later)
    return tx.execute(first).scalar_one()


def count_pending(tx: Transaction) -> int:
    """How many deliveries wait; so many that it matters no more are counted as 10 000."""
    waiting = sa.select(webhook_deliveries.c.id).where(PENDING).limit(_MOST_COUNTED).subquery()
    return tx.execute(sa.select(sa.func.count()).select_from(waiting)).scalar_one()


def claim(tx: Transaction, room: Room, lease: timedelta) -> list[Claimed]:
    """Takes what is due, the longest due first, as far as there is room.

    An event's first attempt waits for the first attempts at the events of the same job before it.
    """
    taken: list[sa.Row[Any]] = []
    while room.free > 0:
        found = tx.execute(_due(tx.now, room, [row.id for row in taken])).all()
        fitting = [row for row in found if room.take(row.place, row.organization_id)]
        taken += fitting
        if not fitting:
            break
    endpoints = of_ids(tx, [row.endpoint_id for row in taken if row.endpoint_id])
    sent, over = _parted(taken, endpoints)
    for row in over:
        room.leave(row.place, row.organization_id)
    _end(tx, [row.id for row in over])
    salts = salts_of(tx, {owner for row in sent for owner in _owners(row)})
    token = new_id()
    mine = sa.update(webhook_deliveries).where(
        webhook_deliveries.c.id.in_([row.id for row in sent])
    )
    tx.execute(mine.values(claim_token=token, next_at=tx.now + lease))
    return [_claimed(tx, row, token, salts) for row in sent]


def take_over(tx: Transaction) -> None:
    """What an earlier process held is due at once; nobody else sends."""
    held = sa.update(webhook_deliveries).where(
        PENDING, webhook_deliveries.c.claim_token.is_not(None)
    )
    tx.execute(held.values(claim_token=None, next_at=tx.now))


def give_back(tx: Transaction, claimed: Collection[Claimed]) -> None:
    """Attempts that were broken off are due at once, for whoever comes next."""
    held = sa.update(webhook_deliveries).where(
        webhook_deliveries.c.id.in_([each.id for each in claimed]),
        webhook_deliveries.c.claim_token.in_([each.token for each in claimed]),
    )
    tx.execute(held.values(claim_token=None, next_at=tx.now))


def record(
    tx: Transaction,
    claimed: Claimed,
    attempt: Attempt,
    wait: timedelta | None,
    disable_after: timedelta,
    announce: Announce,
) -> DeliveryStatus | None:
    """Writes what came of an attempt; null where the claim had run out.

    ``wait`` is what the receiver asked for. Too busy a receiver is left alone for so long by all
    that waits for it.
    """
    endpoint = _endpoint(tx, claimed, attempt)
    mine = sa.select(webhook_deliveries).where(
        webhook_deliveries.c.id == claimed.id, webhook_deliveries.c.claim_token == claimed.token
    )
    row = tx.execute(mine.with_for_update()).one_or_none()
    if row is None:
        return None
    again = None if attempt.error is None else _again(tx, row, attempt, wait, endpoint)
    status = _status(attempt, again)
    values: dict[str, Any] = {"status": status.value, "next_at": again, "claim_token": None}
    values |= {"tries": row.tries + 1, "first_at": row.first_at or attempt.at}
    values |= {"attempt_count": row.attempt_count + 1}
    values["attempts"] = attempts_as_json([*attempts_of(row.attempts), attempt])
    tx.execute(
        sa.update(webhook_deliveries).where(webhook_deliveries.c.id == row.id).values(values)
    )
    if endpoint is not None and row.type != TEST:
        _judge(tx, endpoint, attempt, disable_after, announce)
        if wait is not None and attempt.status_code in _THROTTLED:
            _leave_alone(tx, endpoint.id, tx.now + wait)
    return status


def _endpoint(tx: Transaction, claimed: Claimed, attempt: Attempt) -> Endpoint | None:
    """The endpoint, locked where it is to change: always before any of its deliveries."""
    if claimed.endpoint_id is None:
        return None
    found = of_id(tx, claimed.endpoint_id, lock=attempt.error is not None)
    if attempt.error is None and found is not None and found.failing_since is not None:
        return of_id(tx, claimed.endpoint_id, lock=True)
    return found


def _due(now: datetime, room: Room, taken: Sequence[str]) -> sa.Select[Any]:
    table = webhook_deliveries
    query = sa.select(table).where(PENDING, table.c.next_at <= now, ~_waits_for_another())
    if taken:
        query = query.where(table.c.id.not_in(taken))
    if full := room.full_places:
        query = query.where(table.c.place.not_in(full))
    if crowded := room.full_organizations:
        query = query.where(table.c.organization_id.not_in(crowded))
    query = query.order_by(table.c.next_at, table.c.id).limit(room.free)
    return query.with_for_update(of=table, skip_locked=True)


def _waits_for_another() -> sa.ColumnElement[bool]:
    """Whether whoever is told has not been tried with an earlier event of the same job: an
    endpoint, or the callback that the job itself names."""
    table, earlier = webhook_deliveries, webhook_deliveries.alias("earlier")
    before = (
        earlier.c.job_id == table.c.job_id,
        earlier.c.position < table.c.position,
        earlier.c.attempt_count == 0,
        earlier.c.status == sa.literal_column("'pending'"),
    )
    own = sa.and_(
        table.c.endpoint_id.is_(None), sa.exists().where(earlier.c.endpoint_id.is_(None), *before)
    )
    return sa.or_(sa.exists().where(earlier.c.endpoint_id == table.c.endpoint_id, *before), own)


def _parted(
    rows: Sequence[sa.Row[Any]], endpoints: Mapping[str, Endpoint]
) -> tuple[list[sa.Row[Any]], list[sa.Row[Any]]]:
    """Those to be sent, and those whose endpoint takes nothing any more."""
    sent: list[sa.Row[Any]] = []
    over: list[sa.Row[Any]] = []
    for row in rows:
        endpoint = endpoints.get(row.endpoint_id or "")
        there = row.endpoint_id is None or endpoint is not None
        on = endpoint is None or endpoint.plan.enabled or row.type == TEST
        (sent if there and on else over).append(row)
    return sent, over


def _owners(row: sa.Row[Any]) -> tuple[str, ...]:
    return (row.organization_id, *filter(None, [row.endpoint_id]))


def _claimed(tx: Transaction, row: sa.Row[Any], token: str, salts: Mapping[str, Salts]) -> Claimed:
    own = salts.get(row.endpoint_id or "") or salts.get(row.organization_id)
    return Claimed(
        id=row.id,
        token=token,
        organization_id=row.organization_id,
        endpoint_id=row.endpoint_id,
        position=row.position,
        seq=row.seq,
        type=row.type,
        at=row.at,
        data=row.data,
        url=row.url,
        place=row.place,
        salts=own or Salts(row.organization_id),
        now=tx.now,
    )


def _end(tx: Transaction, delivery_ids: Sequence[str]) -> None:
    if delivery_ids:
        over = sa.update(webhook_deliveries).where(webhook_deliveries.c.id.in_(delivery_ids))
        failed = DeliveryStatus.FAILED.value
        tx.execute(over.values(status=failed, next_at=None, claim_token=None))


def _again(
    tx: Transaction,
    row: sa.Row[Any],
    attempt: Attempt,
    wait: timedelta | None,
    endpoint: Endpoint | None,
) -> datetime | None:
    """When a failed delivery is tried next; null where it is given up."""
    gone = attempt.status_code == 410
    off = row.endpoint_id is not None and (endpoint is None or not endpoint.plan.enabled)
    if gone or off or row.type == TEST:
        return None
    return next_attempt(row.first_at or attempt.at, row.tries + 1, tx.now, wait or _NO_WAIT)


def _status(attempt: Attempt, again: datetime | None) -> DeliveryStatus:
    if attempt.error is None:
        return DeliveryStatus.DELIVERED
    return DeliveryStatus.FAILED if again is None else DeliveryStatus.PENDING


def _judge(
    tx: Transaction,
    endpoint: Endpoint,
    attempt: Attempt,
    disable_after: timedelta,
    announce: Announce,
) -> None:
    """Remembers since when an endpoint fails, and disables one that is gone or fails for long."""
    known = sa.update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint.id)
    if attempt.error is None:
        if endpoint.failing_since is not None:
            tx.execute(known.values(failing_since=None))
        return
    since = endpoint.failing_since or attempt.at
    if endpoint.failing_since is None:
        tx.execute(known.values(failing_since=since))
    reason: DisabledReason = "gone" if attempt.status_code == 410 else "failing"
    if reason == "gone" or tx.now - since >= disable_after:
        disable(tx, endpoint, reason, announce)


def _leave_alone(tx: Transaction, endpoint_id: str, until: datetime) -> None:
    waiting = sa.update(webhook_deliveries).where(
        webhook_deliveries.c.endpoint_id == endpoint_id,
        PENDING,
        webhook_deliveries.c.claim_token.is_(None),
        webhook_deliveries.c.next_at < until,
    )
    tx.execute(waiting.values(next_at=until))
