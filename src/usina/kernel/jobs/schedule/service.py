"""Schedules as their owners see them: made, looked at, replaced, deleted."""

from collections.abc import Callable

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import NotFound
from usina.kernel.ids import is_id
from usina.kernel.jobs.schedule import store
from usina.kernel.jobs.schedule.store import Plan, Schedule
from usina.kernel.jobs.validation import Checked, Limits, check, resolve
from usina.kernel.page import Page
from usina.kernel.registry import Registry
from usina.kernel.tenancy.audit import Note, unnoted

Also = Callable[[Transaction, Schedule], None]
"""What must be written together with a new schedule, such as its idempotency record."""


class Schedules:
    """The service. A plan's job is looked at as a submit is, and again at each of its moments."""

    def __init__(self, database: Database, registry: Registry, limits: Limits) -> None:
        self._database = database
        self._registry = registry
        self._limits = limits

    async def create(self, organization_id: str, plan: Plan, also: Also | None = None) -> Schedule:
        checked = self._check(plan)

        def unit(tx: Transaction) -> Schedule:
            resolve(tx, organization_id, [checked])
            new = store.create(tx, organization_id, plan)
            if also is not None:
                also(tx, new)
            return new

        return await self._database.write(unit, tenant=organization_id)

    async def get(self, organization_id: str, schedule_id: str) -> Schedule:
        _is_one(schedule_id)
        return await self._database.read(
            lambda tx: store.find(tx, organization_id, schedule_id), tenant=organization_id
        )

    async def list(self, organization_id: str, after: str | None, limit: int) -> Page[Schedule]:
        found = await self._database.read(
            lambda tx: store.page(tx, organization_id, after, limit + 1), tenant=organization_id
        )
        return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)

    async def replace(
        self, organization_id: str, schedule_id: str, plan: Plan, note: Note = unnoted
    ) -> Schedule:
        """The plan in place of the one before."""
        await self.get(organization_id, schedule_id)
        checked = self._check(plan)

        def unit(tx: Transaction) -> Schedule:
            resolve(tx, organization_id, [checked])
            note(tx)
            return store.replace(tx, organization_id, schedule_id, plan)

        return await self._database.write(unit, tenant=organization_id)

    async def delete(self, organization_id: str, schedule_id: str, note: Note = unnoted) -> None:
        _is_one(schedule_id)

        def unit(tx: Transaction) -> None:
            store.delete(tx, organization_id, schedule_id)
            note(tx)

        await self._database.write(unit, tenant=organization_id)

    def _check(self, plan: Plan) -> Checked:
        plan.check()
        return check(plan.job, self._registry, self._limits)


def _is_one(schedule_id: str) -> None:
    if not is_id(schedule_id):
        raise NotFound
