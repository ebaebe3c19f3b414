"""From a simulation that waits to its job, once there are particles and the mesh of them.

The job and the simulation's word of it are one commit, so a simulation never has two. Whoever comes
first does it, the request or the beat.
"""

from collections.abc import Callable
from typing import Final

from usina.apps.cfd.bed.recipe import PARTICLES
from usina.apps.cfd.simulation import mesh_store, store
from usina.apps.cfd.simulation.mesh import INPUT as MESH
from usina.apps.cfd.simulation.mesh import MeshRecipe, Particles, mesh_recipe
from usina.apps.cfd.simulation.mesh_store import Mesh
from usina.apps.cfd.simulation.settings import INPUT
from usina.apps.cfd.simulation.simulation import Simulation
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound, Problem, TooMany, Unavailable
from usina.kernel.jobs.job import Job, JobRequest
from usina.kernel.jobs.state import JobError, Status
from usina.kernel.platform import Platform
from usina.kernel.tenancy.caller import Caller

Attach = Callable[[Transaction, list[Job]], None]
_LIMIT: Final = 200


class _Taken(Exception):
    """The simulation waits no more."""


async def start(platform: Platform, simulation: Simulation, file_id: str | None) -> None:
    """Makes the solver's job on the particles, of the file or of the generation's job. A solver
    that takes a mesh is given it, once a job has made it. A refusal ends the simulation, unless it
    is one that passes."""
    particles = await _particles(platform, simulation, file_id)
    if particles is None:
        message = "The bed's particles are no longer there; generate it anew."
        await _end(platform, simulation, JobError.of("invalid_input", "bed_failed", message))
        return
    recipe = mesh_recipe(simulation, particles, INPUT, platform.registry)
    if recipe is None:
        await _solve(platform, simulation, particles, None, None)
        return
    owner = simulation.organization_id
    mesh = await platform.database.read(
        lambda tx: mesh_store.find(tx, owner, recipe.key), tenant=owner
    )
    if mesh is None:
        await _make_mesh(platform, simulation, recipe)
    elif mesh.artifact_id is None:
        await platform.database.write(
            lambda tx: _wait(tx, simulation, recipe.key, mesh), tenant=owner
        )
    else:
        await _solve(platform, simulation, particles, recipe.key, mesh)


async def _solve(
    platform: Platform,
    simulation: Simulation,
    particles: Particles,
    key: str | None,
    mesh: Mesh | None,
) -> None:
    owner = simulation.organization_id

    def attach(tx: Transaction, jobs: list[Job]) -> None:
        if key is not None and mesh_store.find(tx, owner, key, held=True) != mesh:
            raise _Taken
        mesh_job_id = mesh.job_id if mesh else None
        if not store.attach_job(tx, simulation.id, jobs[0].id, mesh_job_id):
            raise _Taken

    inputs: dict[str, str | list[str]] = {INPUT: particles.id}
    if mesh is not None and mesh.artifact_id is not None:
        inputs[MESH] = mesh.artifact_id
    request = JobRequest(model=simulation.solver, params=simulation.params, inputs=inputs)
    await _submit(platform, simulation, request, attach)


async def _make_mesh(platform: Platform, simulation: Simulation, recipe: MeshRecipe) -> None:
    """The job of the mesh, and the simulation's word that it waits for it, in one commit; or the
    simulation ends, where the mesh that it waited for could not be made."""
    owner = simulation.organization_id
    told = await platform.database.read(
        lambda tx: mesh_store.failure_of(tx, simulation.mesh_job_id), tenant=owner
    )
    if told is not None:
        message = f"The mesh of its bed could not be made. {told['message']}"
        await _end(platform, simulation, JobError.of(told["code"], "mesh_failed", message, False))
        return

    def attach(tx: Transaction, jobs: list[Job]) -> None:
        mesh_store.hold_generation(tx, simulation.generation_id)
        begun = mesh_store.find(tx, owner, recipe.key) is not None
        if begun or not mesh_store.wait(tx, simulation.id, jobs[0].id):
            raise _Taken
        mesh_store.add(tx, simulation, recipe.key, jobs[0].id)

    await _submit(platform, simulation, recipe.request, attach)


def _wait(tx: Transaction, simulation: Simulation, key: str, mesh: Mesh) -> None:
    """The job is held, so that nobody stops it as one that nobody waits for."""
    if mesh_store.find(tx, simulation.organization_id, key, held=True) == mesh:
        mesh_store.wait(tx, simulation.id, mesh.job_id)


async def _submit(
    platform: Platform, simulation: Simulation, request: JobRequest, attach: Attach
) -> None:
    caller = Caller(simulation.organization_id, key_id=None)
    try:
        await platform.jobs.submit(caller, [request], attach)
    except (_Taken, TooMany, Unavailable):
        return  # somebody else has done it, or the beat does it later
    except Problem as refusal:
        if MESH in request.inputs and refusal.code == "input_not_found":
            return  # the mesh has gone meanwhile; the beat looks for another
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


async def _particles(
    platform: Platform, simulation: Simulation, file_id: str | None
) -> Particles | None:
    owner = simulation.organization_id
    if file_id is not None:
        try:
            file = await platform.files.get(Caller(owner, key_id=None), file_id)
        except NotFound:
            return None
        return Particles(file.id, file.sha256)
    job_id = await platform.database.read(
        lambda tx: store.job_of_generation(tx, simulation.generation_id), tenant=owner
    )
    try:
        job = await platform.jobs.get(owner, job_id or "")
    except NotFound:
        return None
    made = (each for each in job.artifacts if each.name == PARTICLES)
    return next((Particles(each.id, each.sha256) for each in made), None)


async def _end(platform: Platform, simulation: Simulation, error: JobError) -> None:
    await platform.database.write(
        lambda tx: store.end_without_job(tx, simulation.id, error),
        tenant=simulation.organization_id,
    )
