"""An organization as its members see it: its name, its quotas and their use, what it keeps."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import FieldError, Invalid
from usina.kernel.events.bus import Bus
from usina.kernel.jobs.usage import Usage, usage_of
from usina.kernel.tenancy.audit import Actor, record
from usina.kernel.tenancy.founding import checked_name, name_taken
from usina.kernel.tenancy.quota import QUOTAS, Quota, quota_of
from usina.kernel.tenancy.retention import Kept, kept_of
from usina.kernel.tenancy.table import organizations

L = TypeVar("L", Quota, Kept)


@dataclass(frozen=True, slots=True)
class Organization:
    id: str
    name: str
    created_at: datetime
    quotas: Quota
    usage: Usage
    retention: Kept


class Organizations:
    """The service; ``most`` and ``longest`` are the platform's own quotas and times."""

    def __init__(self, database: Database, bus: Bus, most: Quota, longest: Kept) -> None:
        self._database = database
        self._bus = bus
        self._most = most
        self._longest = longest

    async def get(self, organization_id: str) -> Organization:
        return await self._database.read(
            lambda tx: _organization(tx, organization_id), tenant=organization_id
        )

    async def update(
        self,
        organization_id: str,
        name: str | None,
        quotas: Quota | None,
        retention: Kept | None,
        actor: Actor,
    ) -> Organization:
        """What is null stays as it is. Raises ``Invalid`` for what is above the platform's."""
        wrong = [
            *_above(quotas, self._most, "quotas"),
            *_above(retention, self._longest, "retention"),
        ]
        if wrong:
            raise Invalid(f"{wrong[0].pointer}: {wrong[0].message}", errors=wrong)
        name = None if name is None else checked_name(name, "/name")

        def unit(tx: Transaction) -> Organization:
            before = _organization(tx, organization_id)
            values = _columns(name, quotas, retention)
            if values:
                _change(tx, organization_id, values)
            after = _organization(tx, organization_id)
            _tell(tx, before, after, actor)
            return after

        changed = await self._database.write(unit, tenant=organization_id)
        self._bus.wake(f"{QUOTAS}:{organization_id}")
        return changed


def _organization(tx: Transaction, organization_id: str) -> Organization:
    found = sa.select(organizations).where(organizations.c.id == organization_id)
    row = tx.execute(found).one()
    usage = usage_of(tx, organization_id)
    return Organization(row.id, row.name, row.created_at, quota_of(row), usage, kept_of(row))


def _change(tx: Transaction, organization_id: str, values: dict[str, Any]) -> None:
    """Others are behind the wall: whether a name is taken, the constraint tells."""
    this = sa.update(organizations).where(organizations.c.id == organization_id)
    try:
        tx.execute(this.values(values))
    except IntegrityError as error:
        raise name_taken(values["name"]) from error


def _above(wanted: Quota | Kept | None, most: Quota | Kept, where: str) -> list[FieldError]:
    if wanted is None:
        return []
    pairs = [
        (part.name, getattr(wanted, part.name), getattr(most, part.name)) for part in fields(wanted)
    ]
    return [
        FieldError(f"/{where}/{name}", f"The platform's own is {limit:g}, and this is more.")
        for name, value, limit in pairs
        if value is not None and limit is not None and value > limit
    ]


def _columns(name: str | None, quotas: Quota | None, retention: Kept | None) -> dict[str, Any]:
    values: dict[str, Any] = {} if name is None else {"name": name}
    for prefix, wanted in (("quota", quotas), ("retention", retention)):
        if wanted is not None:
            values |= {f"{prefix}_{part}": value for part, value in asdict(wanted).items()}
    return values


def _tell(tx: Transaction, before: Organization, after: Organization, actor: Actor) -> None:
    """What differs, and nothing where nothing does."""
    was, now = _shown(before), _shown(after)
    changed = [part for part in now if was[part] != now[part]]
    if changed:
        record(
            tx,
            after.id,
            actor,
            "organization.changed",
            ("organization", after.id),
            {part: was[part] for part in changed},
            {part: now[part] for part in changed},
        )


def _shown(one: Organization) -> dict[str, Any]:
    return {"name": one.name, "quotas": asdict(one.quotas), "retention": asdict(one.retention)}
