"""Endpoints: addresses that an organization wants told of its events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, Invalid, NotFound
from usina.kernel.events.event import JOB_TERMINAL_TYPES, JOB_TYPES
from usina.kernel.events.log import Announce, NewEvent, append, last_position
from usina.kernel.guard.reach import Reach
from usina.kernel.guard.target import check_url, parse_target
from usina.kernel.ids import new_id
from usina.kernel.runners.form import suggestion
from usina.kernel.tenancy.caller import owned_by
from usina.kernel.text import refuse_nul
from usina.kernel.webhooks import secret
from usina.kernel.webhooks.table import PENDING, webhook_deliveries, webhook_endpoints

DISABLED: Final = "webhook.disabled"
TYPES: Final = (*JOB_TYPES, DISABLED)
"""What an endpoint may ask for."""

USUAL_TYPES: Final = tuple(kind for kind in JOB_TYPES if kind in JOB_TERMINAL_TYPES)
MOST_ENDPOINTS: Final = 100
_LONGEST_DESCRIPTION: Final = 200

DisabledReason = Literal["gone", "failing"]
"""Its answer was 410, or none of its answers was good for days."""


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """What its owner says of an endpoint."""

    url: str
    event_types: tuple[str, ...] = USUAL_TYPES
    description: str = ""
    enabled: bool = True

    def check(self, reach: Reach) -> None:
        """Raises ``Invalid`` with a pointer."""
        check_url(self.url, reach, "/url")
        refuse_nul(self.description, "/description")
        if len(self.description) > _LONGEST_DESCRIPTION:
            message = f"A description has at most {_LONGEST_DESCRIPTION} characters."
            raise Invalid.at("/description", message)
        if not self.event_types:
            raise Invalid.at("/event_types", "An endpoint is told of one type of event at least.")
        for place, kind in enumerate(self.event_types):
            if kind not in TYPES:
                message = f"There is no type of event {kind!r}.{suggestion(kind, TYPES)}"
                raise Invalid.at(f"/event_types/{place}", message)
            if kind in self.event_types[:place]:
                raise Invalid.at(f"/event_types/{place}", f"{kind} stands twice.")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``failing_since`` is its first failure after the last success."""

    id: str
    organization_id: str
    plan: EndpointPlan
    position: int
    created_at: datetime
    own_secret: bool = False
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: DisabledReason | None = None


def create(
    tx: Transaction, organization_id: str, plan: EndpointPlan, *, own_secret: bool
) -> Endpoint:
    """Stores an endpoint that was checked; it is told of what happens from now on."""
    count = sa.select(sa.func.count()).select_from(webhook_endpoints)
    if tx.execute(count.where(_owned(organization_id))).scalar_one() >= MOST_ENDPOINTS:
        raise Conflict(
            f"An organization has at most {MOST_ENDPOINTS} webhook endpoints; delete one first.",
            code="too_many_endpoints",
        )
    position = last_position(tx, organization_id)
    new = Endpoint(new_id(), organization_id, plan, position, tx.now, own_secret)
    row: dict[str, Any] = {"id": new.id, "organization_id": organization_id}
    row |= {"position": position, "created_at": tx.now} | _planned(plan)
    tx.execute(sa.insert(webhook_endpoints), row)
    if own_secret:
        secret.rotate(tx, organization_id, new.id)
    return new


def find(tx: Transaction, organization_id: str, endpoint_id: str) -> Endpoint:
    """The organization's endpoint; raises ``NotFound``."""
    return _with_secrets(tx, [_locked(tx, organization_id, endpoint_id, lock=False)])[0]


def page(tx: Transaction, organization_id: str, after: str | None, limit: int) -> list[Endpoint]:
    """At most ``limit`` endpoints older than ``after``, newest first."""
    query = sa.select(webhook_endpoints).where(_owned(organization_id))
    if after is not None:
        query = query.where(webhook_endpoints.c.id < after)
    rows = tx.execute(query.order_by(webhook_endpoints.c.id.desc()).limit(limit))
    return _with_secrets(tx, [endpoint_of(row) for row in rows])


def replace_plan(
    tx: Transaction, organization_id: str, endpoint_id: str, plan: EndpointPlan
) -> Endpoint:
    """Puts another plan in its place. Enabled again, it is told of what happens from now on; what
    still waits for it goes to its new address."""
    before = _locked(tx, organization_id, endpoint_id)
    values: dict[str, Any] = _planned(plan)
    if plan.enabled and not before.plan.enabled:
        values |= {"position": last_position(tx, organization_id), "failing_since": None}
        values |= {"disabled_at": None, "disabled_reason": None}
    elif before.plan.enabled and not plan.enabled:
        values["disabled_at"] = tx.now
    tx.execute(
        sa.update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id).values(values)
    )
    if before.plan.enabled and not plan.enabled:
        give_up_waiting(tx, endpoint_id)
    elif before.plan.url != plan.url:
        tx.execute(_waiting(endpoint_id).values(url=plan.url, place=parse_target(plan.url).place))
    return find(tx, organization_id, endpoint_id)


def delete(tx: Transaction, organization_id: str, endpoint_id: str) -> None:
    """Its deliveries stay to be looked at; what waited is given up. Raises ``NotFound``."""
    _locked(tx, organization_id, endpoint_id)
    tx.execute(sa.delete(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id))
    secret.forget(tx, endpoint_id)
    give_up_waiting(tx, endpoint_id)


def disable(
    tx: Transaction, endpoint: Endpoint, reason: DisabledReason, announce: Announce
) -> None:
    """Tells it nothing more, and its organization why."""
    values = {"enabled": False, "disabled_at": tx.now, "disabled_reason": reason}
    where = (webhook_endpoints.c.id == endpoint.id, webhook_endpoints.c.enabled)
    if tx.execute(sa.update(webhook_endpoints).where(*where).values(values)).rowcount:
        give_up_waiting(tx, endpoint.id)
        data = {"endpoint_id": endpoint.id, "description": endpoint.plan.description}
        data["reason"] = reason
        append(tx, [NewEvent(endpoint.organization_id, None, None, DISABLED, data)], announce)


def give_up_waiting(tx: Transaction, endpoint_id: str) -> None:
    """Ends deliveries that wait, but not those that are being sent at this moment."""
    waiting = _waiting(endpoint_id).where(webhook_deliveries.c.claim_token.is_(None))
    tx.execute(waiting.values(status="failed", next_at=None))


def listening_organizations(tx: Transaction) -> tuple[str, ...]:
    """Those with an endpoint that is told of events."""
    query = sa.select(webhook_endpoints.c.organization_id).where(webhook_endpoints.c.enabled)
    return tuple(tx.execute(query.distinct().order_by(sa.text("1"))).scalars())


def of_id(tx: Transaction, endpoint_id: str, *, lock: bool) -> Endpoint | None:
    """An endpoint of whatever organization, if it is there."""
    query = sa.select(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id)
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else endpoint_of(row)


def of_ids(tx: Transaction, endpoint_ids: Sequence[str]) -> Mapping[str, Endpoint]:
    """Endpoints of whatever organization, as far as they are there."""
    query = sa.select(webhook_endpoints).where(webhook_endpoints.c.id.in_(sorted(endpoint_ids)))
    return {row.id: endpoint_of(row) for row in tx.execute(query)}


def endpoint_of(row: sa.Row[Any]) -> Endpoint:
    plan = EndpointPlan(row.url, tuple(row.event_types), row.description, row.enabled)
    state = (row.failing_since, row.disabled_at, row.disabled_reason)
    return Endpoint(row.id, row.organization_id, plan, row.position, row.created_at, False, *state)


def _locked(
    tx: Transaction, organization_id: str, endpoint_id: str, *, lock: bool = True
) -> Endpoint:
    query = sa.select(webhook_endpoints).where(
        webhook_endpoints.c.id == endpoint_id, _owned(organization_id)
    )
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound
    return endpoint_of(row)


def _owned(organization_id: str) -> sa.ColumnElement[bool]:
    return owned_by(organization_id, webhook_endpoints)


def _with_secrets(tx: Transaction, found: Sequence[Endpoint]) -> list[Endpoint]:
    owners = secret.salts_of(tx, [endpoint.id for endpoint in found])
    return [replace(endpoint, own_secret=endpoint.id in owners) for endpoint in found]


def _waiting(endpoint_id: str) -> sa.Update:
    return sa.update(webhook_deliveries).where(
        webhook_deliveries.c.endpoint_id == endpoint_id, PENDING
    )


def _planned(plan: EndpointPlan) -> dict[str, Any]:
    return {
        "url": plan.url,
        "event_types": list(plan.event_types),
        "description": plan.description,
        "enabled": plan.enabled,
    }
