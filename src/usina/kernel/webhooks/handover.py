"""From the log to deliveries: what is to be told outside gets a delivery, exactly one.

The log is the outbox of endpoints: each remembers how far it was read, and a job that nobody is
told of costs nothing. A job's own ``callback_url`` lies in the outbox, which is written with the
event. Either way a delivery comes into being in the transaction that moves on from its event.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.event import JOB_TYPES, Event
from usina.kernel.events.log import positions, read_after
from usina.kernel.events.table import events, outbox
from usina.kernel.failpoints import reach
from usina.kernel.tenancy.caller import owned_by
from usina.kernel.webhooks.delivery import NewDelivery, add
from usina.kernel.webhooks.endpoint import Endpoint, endpoint_of
from usina.kernel.webhooks.table import webhook_endpoints

Documents = Callable[[Transaction, str, Sequence[str]], Mapping[str, dict[str, Any]]]
"""The jobs of an organization as clients see them, by id, with links that are not signed yet."""

_EVENTS: Final = 50
_ENDPOINTS: Final = 5
"""So much in one transaction, which on SQLite is so long that nothing else happens."""


def is_behind(tx: Transaction) -> bool:
    """Whether anything in the log or the outbox has no delivery yet that wants one."""
    waits = sa.select(sa.exists(sa.select(outbox.c.id)))
    lags = sa.select(sa.exists(_lagging()))
    return bool(tx.execute(waits).scalar_one() or tx.execute(lags).scalar_one())


def hand_over(tx: Transaction, documents: Documents) -> bool:
    """Makes deliveries of a batch of events; whether there may be more."""
    rows = tx.execute(
        sa.select(outbox).order_by(outbox.c.id).limit(_EVENTS).with_for_update(skip_locked=True)
    ).all()
    _take_out(tx, rows, documents)
    lagging = _lagging().order_by(sa.func.random()).limit(_ENDPOINTS)  # so that none is always last
    locked = tx.execute(lagging.with_for_update(of=webhook_endpoints, skip_locked=True)).all()
    endpoints = [endpoint_of(row) for row in sorted(locked, key=lambda row: row.id)]
    full = [_read_on(tx, endpoint, documents) for endpoint in endpoints]
    if rows or full:
        reach("hook.in_handover")
    return len(rows) == _EVENTS or len(full) == _ENDPOINTS or any(full)


def hand_over_job(tx: Transaction, organization_id: str, job_id: str, documents: Documents) -> None:
    """Makes the deliveries of one job at once, before it changes or goes.

    Endpoints come in the order of their ids, here and above, so that no two wait for each other.
    """
    mine = sa.select(outbox).where(owned_by(organization_id, outbox), outbox.c.job_id == job_id)
    _take_out(tx, tx.execute(mine.order_by(outbox.c.id).with_for_update()).all(), documents)
    endpoints = sa.select(webhook_endpoints).where(
        owned_by(organization_id, webhook_endpoints), webhook_endpoints.c.enabled
    )
    ordered = endpoints.order_by(webhook_endpoints.c.id)
    for endpoint in map(endpoint_of, tx.execute(ordered).all()):
        after: int | None = endpoint.position
        while told := read_after(tx, organization_id, job_id, after, _EVENTS):
            add(tx, list(_deliveries(tx, endpoint, told, documents)))
            after = told[-1].position


def _lagging() -> sa.Select[*tuple[Any, ...]]:
    """Endpoints that have not been told of all that is in their organization's log."""
    newest = (
        sa.select(sa.func.max(events.c.position))
        .where(events.c.organization_id == webhook_endpoints.c.organization_id)
        .scalar_subquery()
    )
    return sa.select(webhook_endpoints).where(
        webhook_endpoints.c.enabled, webhook_endpoints.c.position < newest
    )


def _read_on(tx: Transaction, endpoint: Endpoint, documents: Documents) -> bool:
    """Moves the endpoint on by a batch; whether it was a full one."""
    told = read_after(tx, endpoint.organization_id, None, endpoint.position, _EVENTS)
    if told:
        add(tx, list(_deliveries(tx, endpoint, told, documents)))
        moved = sa.update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint.id)
        tx.execute(moved.values(position=told[-1].position))
    return len(told) == _EVENTS


def _deliveries(
    tx: Transaction, endpoint: Endpoint, told: Sequence[Event], documents: Documents
) -> Iterable[NewDelivery]:
    wanted = [event for event in told if event.type in endpoint.plan.event_types]
    jobs = _documents(tx, endpoint.organization_id, [event.job_id for event in wanted], documents)
    for event in wanted:
        data = jobs.get(event.job_id or "") if event.type in JOB_TYPES else dict(event.data)
        if data is not None:  # else the job went, and who deleted it has handed it over
            yield NewDelivery(
                organization_id=event.organization_id,
                endpoint_id=endpoint.id,
                job_id=event.job_id,
                position=event.position,
                seq=event.seq,
                type=event.type,
                at=event.at,
                data=data,
                url=endpoint.plan.url,
            )


def _take_out(
    tx: Transaction, rows: Sequence[sa.Row[*tuple[Any, ...]]], documents: Documents
) -> None:
    """Turns rows of the outbox into deliveries."""
    if not rows:
        return
    made: list[NewDelivery] = []
    for organization_id in sorted({row.organization_id for row in rows}):
        mine = [row for row in rows if row.organization_id == organization_id]
        jobs = _documents(tx, organization_id, [row.job_id for row in mine], documents)
        places = positions(tx, organization_id, [(row.job_id, row.seq) for row in mine])
        made.extend(
            NewDelivery(
                organization_id=organization_id,
                endpoint_id=None,
                job_id=row.job_id,
                position=places.get((row.job_id, row.seq)),
                seq=row.seq,
                type=row.type,
                at=row.at,
                data=jobs[row.job_id],
                url=row.url,
            )
            for row in mine
            if row.job_id in jobs
        )
    add(tx, made)
    tx.execute(sa.delete(outbox).where(outbox.c.id.in_([row.id for row in rows])))


def _documents(
    tx: Transaction,
    organization_id: str,
    job_ids: Sequence[str | None],
    documents: Documents,
) -> Mapping[str, dict[str, Any]]:
    ids = sorted({job_id for job_id in job_ids if job_id is not None})
    return documents(tx, organization_id, ids) if ids else {}
