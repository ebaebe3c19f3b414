"""From a simulation that waits to its job, once there are particles.

The job and the simulation's word of it are one commit, so a simulation never has two. Whoever comes
first does it, the request or the beat.
"""

from typing import Final

from usina.apps.cfd.bed.recipe import PARTICLES
from usina.apps.cfd.simulation import store
from usina.apps.cfd.simulation.settings import INPUT
from usina.apps.cfd.simulation.simulation import Simulation
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound, Problem, TooMany, Unavailable
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import JobError, Status
from usina.kernel.platform import Platform
from usina.kernel.tenancy.caller import Caller

_LIMIT: Final = 200


class _Taken(Exception):
    """The simulation waits no more."""


async def start(platform: Platform, simulation: Simulation, file_id: str | None) -> None:
    """Makes the solver's job on the particles, of the file or of the generation's job. A refusal
    ends the simulation, unless it is one that passes."""
    owner = simulation.organization_id
    particles = file_id or await _made_particles(platform, simulation)
    if particles is None:
        message = "The bed's particles are no longer there; generate it anew."
        await _end(platform, simulation, JobError.of("invalid_input", "bed_failed", message))
        return

    def attach(tx: Transaction, jobs: list[Job]) -> None:
        if not store.attach_job(tx, simulation.id, jobs[0].id):
            raise _Taken

    request = JobRequest(
        model=simulation.solver, params=simulation.params, inputs={INPUT: particles}
    )
    try:
        await platform.jobs.submit(Caller(owner, key_id=None), [request], attach)
    except (_Taken, TooMany, Unavailable):
        return  # somebody else has done it, or the beat does it later
    except Problem as refusal:
        await _end(platform, simulation, JobError.of("invalid_input", refusal.code, refusal.detail))


async def start_simulations(platform: Platform) -> None:
    """The turn of the beat: every simulation whose bed has ended begins, or ends with it."""
    for simulation, status, file_id in await platform.database.read(
        lambda tx: store.ready_to_start(tx, _LIMIT)
    ):
        if file_id is not None or status == Status.SUCCEEDED:
            await start(platform, simulation, file_id)
        else:
            how = "was deleted" if status is None else f"has {status.lower()}"
            message = f"The generation of its bed {how}."
            await _end(platform, simulation, JobError.of("invalid_input", "bed_failed", message))


async def _made_particles(platform: Platform, simulation: Simulation) -> str | None:
    owner = simulation.organization_id
    job_id = await platform.database.read(
        lambda tx: store.job_of_generation(tx, simulation.generation_id), tenant=owner
    )
    try:
        job = await platform.jobs.get(owner, job_id or "")
    except NotFound:
        return None
    return next((each.id for each in job.artifacts if each.name == PARTICLES), None)


async def _end(platform: Platform, simulation: Simulation, error: JobError) -> None:
    await platform.database.write(
        lambda tx: store.end_without_job(tx, simulation.id, error),
        tenant=simulation.organization_id,
    )
