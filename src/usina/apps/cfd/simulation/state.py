"""How a simulation is: derived from its job, or from why it has none."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from usina.apps.cfd.simulation.simulation import Simulation
from usina.apps.cfd.told import told_by
from usina.kernel.errors import NotFound
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import Status
from usina.kernel.platform import Platform

_RESULTS: Final = frozenset({"results", "residuals"})


@dataclass(frozen=True, slots=True)
class SimulationState:
    simulation: Simulation
    job: Job | None
    told: dict[str, Any]
    """``results`` and ``residuals`` of its report."""

    @property
    def status(self) -> Status:
        if self.job is not None:
            return self.job.status
        error = self.simulation.error
        if error is None:
            return Status.QUEUED
        return Status.CANCELLED if error["code"] == "cancelled" else Status.FAILED


async def states_of(platform: Platform, simulations: Sequence[Simulation]) -> list[SimulationState]:
    """In their order; one whose job was deleted by itself is left out."""
    found = await asyncio.gather(*(_state(platform, each) for each in simulations))
    return [state for state in found if state is not None]


async def state_of(platform: Platform, simulation: Simulation) -> SimulationState:
    """Raises ``NotFound`` where its job was deleted by itself."""
    state = await _state(platform, simulation)
    if state is None:
        raise NotFound
    return state


async def _state(platform: Platform, simulation: Simulation) -> SimulationState | None:
    if simulation.job_id is None:
        return SimulationState(simulation, None, {})
    try:
        job = await platform.jobs.get(simulation.organization_id, simulation.job_id)
    except NotFound:
        return None
    told: dict[str, Any] = {}
    if job.status is Status.SUCCEEDED:
        told = await told_by(platform, job, _RESULTS)
    return SimulationState(simulation, job, told)
