"""Simulations as the room's windows see them: asked for, looked at, cancelled."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from usina.apps.cfd.bed import store as bed_store
from usina.apps.cfd.bed.bed import Bed, Generation
from usina.apps.cfd.bed.service import Beds
from usina.apps.cfd.bed.state import BedState
from usina.apps.cfd.simulation import store
from usina.apps.cfd.simulation.mesh import release
from usina.apps.cfd.simulation.settings import Settings, params_of
from usina.apps.cfd.simulation.simulation import Simulation
from usina.apps.cfd.simulation.start import start
from usina.apps.cfd.simulation.state import SimulationState, state_of, states_of
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.failpoints import reach
from usina.kernel.ids import new_id
from usina.kernel.jobs.state import Status
from usina.kernel.page import Page
from usina.kernel.platform import Platform
from usina.kernel.tenancy.audit import Note, unnoted
from usina.kernel.tenancy.caller import Caller

Also = Callable[[Transaction, Simulation], None]


@dataclass(frozen=True, slots=True)
class Simulations:
    """The service, for one caller's organization."""

    platform: Platform
    caller: Caller

    @property
    def _owner(self) -> str:
        return self.caller.organization_id

    async def create(self, bed_id: str, settings: Settings, also: Also) -> SimulationState:
        """It begins at once, or when the bed's generation has ended.

        Raises ``Conflict`` (``bed_failed``) where the bed has no particles and none are coming.
        """
        bed = await Beds(self.platform, self.caller).get(bed_id)
        params = params_of(settings, bed.bed.plan, self.platform.registry)
        wanted = new_simulation(_hopeful(bed), settings.solver, params, self.platform.clock.now())

        def write(tx: Transaction) -> None:
            _keep(tx, bed.bed, wanted)
            also(tx, wanted)

        await self.platform.database.write(write, tenant=self._owner)
        reach("simulation.after_commit")
        if bed.newest is not None and bed.newest.ready:
            await start(self.platform, wanted, bed.newest.generation.file_id)
        return await self.get(wanted.id)

    async def find(self, simulation_id: str) -> Simulation:
        return await self.platform.database.read(
            lambda tx: store.find(tx, self._owner, simulation_id), tenant=self._owner
        )

    async def get(self, simulation_id: str) -> SimulationState:
        return await state_of(self.platform, await self.find(simulation_id))

    async def list(
        self, after: str | None, limit: int, bed_id: str | None, sweep_id: str | None
    ) -> Page[SimulationState]:
        """Newest first; of one bed or sweep only, where one is named."""
        found = await self.platform.database.read(
            lambda tx: store.page(
                tx, self._owner, after, limit + 1, bed_id=bed_id, sweep_id=sweep_id
            ),
            tenant=self._owner,
        )
        shown = await states_of(self.platform, found[:limit])
        return Page(tuple(shown), found[limit - 1].id if len(found) > limit else None)

    async def cancel(
        self, simulation_id: str, note: Note = unnoted
    ) -> tuple[Status, SimulationState]:
        """The state that it was in, and how it is."""
        before = await self.get(simulation_id)
        if before.simulation.job_id is None and not before.status.terminal:

            def end(tx: Transaction) -> bool:
                ended = store.end_without_job(tx, simulation_id, store.CANCELLED)
                if ended:
                    note(tx)
                return ended

            if await self.platform.database.write(end, tenant=self._owner):
                await release(self.platform, self._owner, [before.simulation.mesh_job_id])
                return before.status, await self.get(simulation_id)
            before = await self.get(simulation_id)
        if before.simulation.job_id is not None:
            await self.platform.jobs.cancel(self._owner, before.simulation.job_id, note)
        return before.status, await self.get(simulation_id)


def new_simulation(
    generation: Generation,
    solver: str,
    params: dict[str, Any],
    now: datetime,
) -> Simulation:
    """One that waits."""
    return Simulation(
        id=new_id(),
        organization_id=generation.organization_id,
        bed_id=generation.bed_id,
        generation_id=generation.id,
        sweep_id=None,
        solver=solver,
        params=params,
        over={},
        mesh_job_id=None,
        job_id=None,
        error=None,
        created_at=now,
        ended_at=None,
    )


def _hopeful(bed: BedState) -> Generation:
    if bed.newest is None or bed.status is None or bed.status in {Status.FAILED, Status.CANCELLED}:
        how = bed.status.value.lower() if bed.status else "gone"
        raise Conflict(
            f"The generation of this bed has {how}; retry its job, or change the bed.",
            code="bed_failed",
        )
    return bed.newest.generation


def _keep(tx: Transaction, bed: Bed, wanted: Simulation) -> None:
    """The bed is held, so that its deletion sees the simulation or refuses it."""
    bed_store.find_bed(tx, bed.organization_id, bed.id, held=True)
    newest = bed_store.generations_of(tx, [bed.id])[bed.id]
    if not any(generation.id == wanted.generation_id for generation in newest):
        raise NotFound
    store.insert(tx, wanted)
