"""Deliveries: one event to be told to one address, with every attempt at it.

Its id is the ``webhook-id`` that the receiver sees, the same in every attempt and replay, so that
who was told twice knows.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.prepared import Prepared, insert_new
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.guard.target import parse_target
from usina.kernel.ids import is_id, new_id
from usina.kernel.tenancy.caller import owned_by
from usina.kernel.webhooks.table import webhook_deliveries, webhook_endpoints

TEST: Final = "webhook.test"
"""The type of what is sent to try an endpoint: once, and to one that is disabled as well."""

GIVE_UP: Final = timedelta(hours=24)
_SCHEDULE: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""When each attempt is due, counted from the first one; of Standard Webhooks 1.0."""

_SOONEST: Final = timedelta(seconds=5)
_SPREAD: Final = 0.1
_JITTER: Final = random.Random()  # noqa: S311  # spreads retries, guards nothing
_ATTEMPTS_KEPT: Final = 50


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt; ``error`` is null where the receiver took it, else a stable code."""

    at: datetime
    duration_seconds: float
    status_code: int | None = None
    error: str | None = None
    message: str | None = None
    answer: str | None = None
    """The beginning of what it answered, as text."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """``next_at`` is when it is tried next; null once it is not."""

    id: str
    organization_id: str
    endpoint_id: str | None
    """Null: it goes to the ``callback_url`` of its job."""
    job_id: str | None
    type: str
    at: datetime
    data: dict[str, Any]
    url: str
    status: DeliveryStatus
    attempts: tuple[Attempt, ...]
    attempt_count: int
    next_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewDelivery:
    organization_id: str
    endpoint_id: str | None
    job_id: str | None
    position: int | None
    seq: int | None
    """Of the event in the log and among its job's; null where there is no such event."""
    type: str
    at: datetime
    data: dict[str, Any]
    url: str


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """What a list is narrowed to; empty means everything."""

    statuses: tuple[DeliveryStatus, ...] = ()
    endpoint_id: str | None = None
    job_id: str | None = None
    type: str | None = None
    created_after: datetime | None = None


def next_attempt(first_at: datetime, tries: int, now: datetime, wait: timedelta) -> datetime | None:
    """When to try again after ``tries`` failures, not before ``wait`` is over; null is never.

    Moments are spread by up to a tenth of the step, so that what failed together does not come
    back together.
    """
    end = first_at + GIVE_UP
    if tries >= len(_SCHEDULE) or now >= end:
        return None
    step = _SCHEDULE[tries] - _SCHEDULE[tries - 1]
    planned = first_at + _SCHEDULE[tries] + step * (_SPREAD * _JITTER.random())
    return min(max(planned, now + _SOONEST, now + wait), end)


def add(tx: Transaction, new: Sequence[NewDelivery]) -> list[str]:
    """Stores deliveries that are due at once; an event that an endpoint has one of already is
    passed over. Returns their ids."""
    rows = [_row(tx, each) for each in new]
    if rows:
        _INSERT.run_many(tx, rows)
    return [row["id"] for row in rows]


def find(tx: Transaction, organization_id: str, delivery_id: str) -> Delivery:
    """The organization's delivery; raises ``NotFound``."""
    return _delivery(_row_of(tx, _one(organization_id, delivery_id)))


def page(
    tx: Transaction, organization_id: str, wanted: DeliveryFilter, after: str | None, limit: int
) -> list[Delivery]:
    """At most ``limit`` deliveries older than ``after``, newest first."""
    named = [wanted.endpoint_id, wanted.job_id]
    if not all(each is None or is_id(each) for each in named):
        return []
    columns = webhook_deliveries.c
    query = sa.select(webhook_deliveries).where(owned_by(organization_id, webhook_deliveries))
    conditions = (
        (after, lambda: columns.id < after),
        (wanted.statuses, lambda: columns.status.in_([each.value for each in wanted.statuses])),
        (wanted.endpoint_id, lambda: columns.endpoint_id == wanted.endpoint_id),
        (wanted.job_id, lambda: columns.job_id == wanted.job_id),
        (wanted.type, lambda: columns.type == wanted.type),
        (wanted.created_after, lambda: columns.created_at > wanted.created_after),
    )
    query = query.where(*(condition() for given, condition in conditions if given))
    return [_delivery(row) for row in tx.execute(query.order_by(columns.id.desc()).limit(limit))]


def replay(tx: Transaction, organization_id: str, delivery_id: str) -> Delivery:
    """Makes it due now, whatever became of it; its retries begin anew.

    Raises ``NotFound``, and ``Conflict`` where its endpoint takes nothing any more.
    """
    row = _row_of(tx, _one(organization_id, delivery_id).with_for_update())
    if row.endpoint_id is not None and row.type != TEST:
        enabled = sa.select(webhook_endpoints.c.enabled, webhook_endpoints.c.url).where(
            webhook_endpoints.c.id == row.endpoint_id
        )
        endpoint = tx.execute(enabled).one_or_none()
        if endpoint is None:
            raise Conflict("The endpoint was deleted.", code="endpoint_deleted")
        if not endpoint.enabled:
            raise Conflict("The endpoint is disabled; enable it first.", code="endpoint_disabled")
    if row.claim_token is None:
        again: dict[str, Any] = {"status": DeliveryStatus.PENDING.value, "next_at": tx.now}
        again |= {"tries": 0, "first_at": None}
        changed = sa.update(webhook_deliveries).where(webhook_deliveries.c.id == delivery_id)
        tx.execute(changed.values(again))
    return find(tx, organization_id, delivery_id)


def forget_before(tx: Transaction, moment: datetime, limit: int) -> int:
    """Deletes old deliveries that are not to be sent any more; how many."""
    old = (
        sa.select(webhook_deliveries.c.id)
        .where(
            webhook_deliveries.c.created_at < moment,
            webhook_deliveries.c.status != DeliveryStatus.PENDING.value,
        )
        .order_by(webhook_deliveries.c.created_at)
        .limit(limit)
    )
    ids = list(tx.execute(old.with_for_update(skip_locked=True)).scalars())
    tx.execute(sa.delete(webhook_deliveries).where(webhook_deliveries.c.id.in_(ids)))
    return len(ids)


def attempts_as_json(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """The newest of them, as they lie in the row."""
    kept = attempts[-_ATTEMPTS_KEPT:]
    return [
        {
            "at": attempt.at.isoformat(),
            "duration_seconds": attempt.duration_seconds,
            "status_code": attempt.status_code,
            "error": attempt.error,
            "message": attempt.message,
            "answer": attempt.answer,
        }
        for attempt in kept
    ]


def attempts_of(stored: Sequence[dict[str, Any]]) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(datetime.fromisoformat(each.pop("at")), **each) for each in map(dict, stored)
    )


def _row(tx: Transaction, new: NewDelivery) -> dict[str, Any]:
    return {
        "id": new_id(),
        "organization_id": new.organization_id,
        "endpoint_id": new.endpoint_id,
        "job_id": new.job_id,
        "position": new.position,
        "seq": new.seq,
        "type": new.type,
        "at": new.at,
        "data": new.data,
        "url": new.url,
        "place": parse_target(new.url).place,
        "status": DeliveryStatus.PENDING.value,
        "tries": 0,
        "attempts": [],
        "attempt_count": 0,
        "next_at": tx.now,
        "created_at": tx.now,
    }


def _one(organization_id: str, delivery_id: str) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(webhook_deliveries).where(
        webhook_deliveries.c.id == delivery_id, owned_by(organization_id, webhook_deliveries)
    )


def _row_of(tx: Transaction, query: sa.Select[*tuple[Any, ...]]) -> sa.Row[*tuple[Any, ...]]:
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return row


def _delivery(row: sa.Row[*tuple[Any, ...]]) -> Delivery:
    return Delivery(
        id=row.id,
        organization_id=row.organization_id,
        endpoint_id=row.endpoint_id,
        job_id=row.job_id,
        type=row.type,
        at=row.at,
        data=row.data,
        url=row.url,
        status=DeliveryStatus(row.status),
        attempts=attempts_of(row.attempts),
        attempt_count=row.attempt_count,
        next_at=row.next_at,
        created_at=row.created_at,
    )


_INSERT: Final = Prepared(
    insert_new(webhook_deliveries),
    (
        *("id", "organization_id", "endpoint_id", "job_id", "position", "seq"),
        *("type", "at", "data", "url", "place", "status", "tries", "attempts", "attempt_count"),
        *("next_at", "created_at"),
    ),
)
