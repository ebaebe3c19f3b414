"""Beds as the room's windows see them: made, looked at, changed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from usina.apps.cfd.bed import store
from usina.apps.cfd.bed.bed import Bed
from usina.apps.cfd.bed.making import Wanted, make
from usina.apps.cfd.bed.plan import BedPlan, changed, read_plan
from usina.apps.cfd.bed.recipe import recipe_of
from usina.apps.cfd.bed.state import BedState, state_of, states_of
from usina.apps.cfd.bed.superseding import let_go
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Invalid
from usina.kernel.files.reception import Reception
from usina.kernel.ids import new_id
from usina.kernel.page import Page
from usina.kernel.platform import Platform
from usina.kernel.tenancy.audit import Note, unnoted
from usina.kernel.tenancy.caller import Caller

Also = Callable[[Transaction, BedState], None]


@dataclass(frozen=True, slots=True)
class Beds:
    """The service, for one caller's organization."""

    platform: Platform
    caller: Caller

    @property
    def _owner(self) -> str:
        return self.caller.organization_id

    async def create(self, given: dict[str, Any], also: Also) -> BedState:
        """A new bed, whose generation has started or is shared with an equal bed's."""
        wanted = self.wanted(read_plan(given))
        made = await make(self.platform, self.caller, [wanted], lambda tx, made: also(tx, made[0]))
        return made[0]

    def wanted(self, plan: BedPlan) -> Wanted:
        """A bed to be made, alone or with others; refused where its generator does not take it."""
        bed = _new_bed(self._owner, plan, self.platform.clock.now())
        recipe = recipe_of(plan, self.platform.registry)
        return Wanted(bed, recipe, partial(store.insert_bed, bed=bed))

    async def find(self, bed_id: str) -> Bed:
        return await self.platform.database.read(
            lambda tx: store.find_bed(tx, self._owner, bed_id), tenant=self._owner
        )

    async def get(self, bed_id: str) -> BedState:
        return await state_of(self.platform, await self.find(bed_id))

    async def list(self, after: str | None, limit: int) -> Page[BedState]:
        """Newest first."""
        found = await self.platform.database.read(
            lambda tx: store.page_of_beds(tx, self._owner, after, limit + 1), tenant=self._owner
        )
        shown = await states_of(self.platform, self._owner, found[:limit])
        return Page(tuple(shown), found[limit - 1].id if len(found) > limit else None)

    async def change(self, bed_id: str, given: dict[str, Any], note: Note = unnoted) -> BedState:
        """What is left out stays."""
        bed = await self.find(bed_id)
        return await self.replace(bed, changed(bed.plan, given), note)

    async def replace(self, bed: Bed, plan: BedPlan, note: Note = unnoted) -> BedState:
        """Starts the generation anew where the geometry changes, or where its job has gone; the
        one before is cancelled, and its files stay until the new ones are there."""
        state = await state_of(self.platform, bed)
        if not self._is_new_geometry(state, plan):
            await self.platform.database.write(
                lambda tx: _replace(tx, bed, plan, note), tenant=self._owner
            )
            return await self.get(bed.id)
        recipe = recipe_of(plan, self.platform.registry)
        wanted = Wanted(bed, recipe, lambda tx: _replace(tx, bed, plan, note))
        await make(self.platform, self.caller, [wanted], lambda tx, made: None)
        await self._let_go(bed)
        return await self.get(bed.id)

    def _is_new_geometry(self, state: BedState, plan: BedPlan) -> bool:
        """By the recipe: what the particles do not depend on changes none of them."""
        if state.status is None:
            return True
        if _measures(plan) == _measures(state.bed.plan):
            return False
        try:
            before = recipe_of(state.bed.plan, self.platform.registry).hash
        except Invalid:
            before = None
        return recipe_of(plan, self.platform.registry).hash != before

    async def take_particles(self, bed: Bed, reception: Reception, also: Note) -> None:
        """The received file is the bed's particles from now on."""

        def write(tx: Transaction) -> None:
            held = store.find_bed(tx, self._owner, bed.id, held=True)
            reception.insert(tx)
            (file,) = reception.files
            store.insert_file(tx, held, file.id)
            store.add_generation(tx, held, file_id=file.id)
            also(tx)

        await self.platform.database.write(write, tenant=self._owner)
        await self._let_go(bed)

    async def take_attachment(self, bed: Bed, reception: Reception, also: Note) -> None:
        """The received file belongs to the bed, and is shown with it."""

        def write(tx: Transaction) -> None:
            held = store.find_bed(tx, self._owner, bed.id, held=True)
            reception.insert(tx)
            store.insert_file(tx, held, reception.files[0].id)
            also(tx)

        await self.platform.database.write(write, tenant=self._owner)

    async def _let_go(self, bed: Bed) -> None:
        """At once what can be; the beat goes on with the rest."""
        found = await self.platform.database.read(
            lambda tx: store.generations_of(tx, [bed.id])[bed.id], tenant=self._owner
        )
        for generation in found[1:]:
            await let_go(self.platform, generation)


def _new_bed(owner: str, plan: BedPlan, now: datetime) -> Bed:
    return Bed(new_id(), owner, plan, now, now)


def _replace(tx: Transaction, bed: Bed, plan: BedPlan, note: Note) -> None:
    store.find_bed(tx, bed.organization_id, bed.id, held=True)
    store.replace_plan(tx, bed, plan)
    note(tx)


def _measures(plan: BedPlan) -> BedPlan:
    """The plan without what says nothing of the particles."""
    return plan.model_copy(update={"name": ""})
