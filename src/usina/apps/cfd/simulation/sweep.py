"""Sweeps: many simulations asked for as one, their table and plot made when all have ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from usina.apps.cfd.bed.making import Wanted, make
from usina.apps.cfd.bed.service import Beds
from usina.apps.cfd.bed.state import BedState
from usina.apps.cfd.simulation import store
from usina.apps.cfd.simulation.combination import Combination, combinations, in_sweep
from usina.apps.cfd.simulation.mesh import release
from usina.apps.cfd.simulation.service import new_simulation
from usina.apps.cfd.simulation.settings import SweepPlan, params_of
from usina.apps.cfd.simulation.simulation import Simulation, Sweep
from usina.apps.cfd.simulation.state import SimulationState, states_of
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Invalid, NotFound
from usina.kernel.ids import new_id
from usina.kernel.jobs.job import Job
from usina.kernel.page import Page
from usina.kernel.platform import Platform
from usina.kernel.tenancy.audit import Note
from usina.kernel.tenancy.caller import Caller

Also = Callable[[Transaction, Sweep, Sequence[Simulation]], None]


@dataclass(frozen=True, slots=True)
class SweepState:
    """``job`` makes the table and the plot; null before all have ended."""

    sweep: Sweep
    job: Job | None
    members: Sequence[SimulationState]


@dataclass(frozen=True, slots=True)
class _Member:
    """A combination that its solver and its generator take."""

    combination: Combination
    bed: Wanted
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sweeps:
    """The service, for one caller's organization."""

    platform: Platform
    caller: Caller

    @property
    def _owner(self) -> str:
        return self.caller.organization_id

    async def create(self, plan: SweepPlan, also: Also) -> tuple[Sweep, Sequence[Simulation]]:
        """All of it in one commit: its beds, with their generations, and its simulations, which
        wait for them. Equal beds are one."""
        wanted = self._members(plan)
        beds = {member.bed.recipe.hash: member.bed for member in wanted}
        now = self.platform.clock.now()
        sweep = Sweep(
            *(new_id(), self._owner, plan.name, plan.solver, plan.over, None, now, None, None)
        )
        made: list[Simulation] = []

        def write(tx: Transaction, states: Sequence[BedState]) -> None:
            store.insert_sweep(tx, sweep)
            by_recipe = dict(zip(beds, states, strict=True))
            made[:] = [_simulation(sweep, member, by_recipe) for member in wanted]
            for simulation in made:
                store.insert(tx, simulation)
            also(tx, sweep, made)

        await make(self.platform, self.caller, list(beds.values()), write)
        return sweep, made

    def _members(self, plan: SweepPlan) -> list[_Member]:
        found = combinations(plan)
        beds = Beds(self.platform, self.caller)
        registry = self.platform.registry
        members: list[_Member] = []
        for number, each in enumerate(found, 1):
            named = each.plan.model_copy(update={"name": _numbered(each.plan.name, number)})
            try:
                bed = beds.wanted(named)
            except Invalid as refusal:
                raise in_sweep(refusal, each.places, "/bed") from refusal
            try:
                params = params_of(each.settings, each.plan, registry)
            except Invalid as refusal:
                raise in_sweep(refusal, each.places, "") from refusal
            members.append(_Member(each, bed, params))
        return members

    async def get(self, sweep_id: str) -> SweepState:
        sweep = await self.platform.database.read(
            lambda tx: store.find_sweep(tx, self._owner, sweep_id), tenant=self._owner
        )
        return (await self._states([sweep]))[0]

    async def list(self, after: str | None, limit: int) -> Page[SweepState]:
        """Newest first."""
        found = await self.platform.database.read(
            lambda tx: store.page_of_sweeps(tx, self._owner, after, limit + 1), tenant=self._owner
        )
        shown = await self._states(found[:limit])
        return Page(tuple(shown), found[limit - 1].id if len(found) > limit else None)

    async def _states(self, sweeps: Sequence[Sweep]) -> Sequence[SweepState]:
        members = await self.platform.database.read(
            lambda tx: store.members(tx, [sweep.id for sweep in sweeps]), tenant=self._owner
        )
        return [
            SweepState(
                sweep,
                await self._job(sweep),
                await states_of(self.platform, members[sweep.id]),
            )
            for sweep in sweeps
        ]

    async def _job(self, sweep: Sweep) -> Job | None:
        if sweep.job_id is None:
            return None
        try:
            return await self.platform.jobs.get(self._owner, sweep.job_id)
        except NotFound:
            return None

    async def cancel(self, sweep_id: str, note: Note) -> tuple[bool, SweepState]:
        """Whether there was anything to cancel, and how it is. What waits has ended; what runs is
        told to stop, by the beat should this process die."""

        def mark(tx: Transaction) -> tuple[Sweep, Sequence[Simulation]]:
            sweep = store.find_sweep(tx, self._owner, sweep_id)
            if sweep.settled_at is not None or sweep.cancelled_at is not None:
                return sweep, ()
            unended = store.unended(tx, sweep.id)
            store.cancel_sweep(tx, sweep)
            note(tx)
            return sweep, unended

        before, unended = await self.platform.database.write(mark, tenant=self._owner)
        await stop(self.platform, unended)
        await release(self.platform, self._owner, [each.mesh_job_id for each in unended])
        open_before = before.settled_at is None and before.cancelled_at is None
        return open_before, await self.get(sweep_id)


async def stop(platform: Platform, running: Sequence[Simulation]) -> None:
    """Cancels the jobs of these simulations."""
    for simulation in running:
        if simulation.job_id is not None:
            try:
                await platform.jobs.cancel(simulation.organization_id, simulation.job_id)
            except NotFound:
                continue


def _simulation(sweep: Sweep, member: _Member, by_recipe: dict[str, BedState]) -> Simulation:
    newest = by_recipe[member.bed.recipe.hash].newest
    assert newest is not None, "every bed was made with its generation"
    new = new_simulation(newest.generation, sweep.solver, member.params, sweep.created_at)
    return replace(new, sweep_id=sweep.id, over=member.combination.over)


def _numbered(name: str, number: int) -> str:
    """Beds of a sweep are told apart by the first simulation that has them."""
    return f"{name[:190]} {number}"
