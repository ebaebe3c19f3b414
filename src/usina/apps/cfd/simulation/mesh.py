"""The mesh that simulations share: made once by a job of its own, then handed to each.

A solver shares meshes when it takes an optional input ``mesh`` that names who makes it
(``made_by``). What the mesh depends on is all that its maker is given: the particles, and those of
the solver's parameters that the maker knows too. Two simulations of one organization that agree in
these have one mesh, whatever their bed, fluid and velocity.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from usina.apps.cfd.simulation import mesh_store
from usina.apps.cfd.simulation.simulation import Simulation
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound
from usina.kernel.jobs.job import JobRequest
from usina.kernel.platform import Platform
from usina.kernel.registry import Registry

INPUT: Final = "mesh"


class _Awaited(Exception):
    """Another simulation waits for the mesh."""


@dataclass(frozen=True, slots=True)
class Particles:
    """A file or an artifact of the organization."""

    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class MeshRecipe:
    """``key`` is the hash of all that the mesh depends on: its maker, the maker's version and
    parameters, the bytes of the particles."""

    request: JobRequest
    key: str


def mesh_recipe(
    simulation: Simulation, particles: Particles, bed: str, registry: Registry
) -> MeshRecipe | None:
    """Null where the solver makes its mesh by itself; ``bed`` names the particles' input."""
    solver = registry.get(simulation.solver)
    spec = solver.manifest.inputs.get(INPUT) if solver else None
    maker = registry.get(spec.made_by) if spec and spec.made_by else None
    if maker is None or not maker.available:
        return None
    known = maker.form.params_schema["properties"]
    given = {name: value for name, value in simulation.params.items() if name in known}
    params = _plain(dict(given), maker.form.defaults)
    told = json.dumps([maker.name, maker.version, params, particles.sha256], sort_keys=True)
    request = JobRequest(model=maker.name, params=given, inputs={bed: particles.id})
    return MeshRecipe(request, hashlib.sha256(told.encode()).hexdigest())


async def release(platform: Platform, owner: str, job_ids: Iterable[str | None]) -> None:
    """Stops the jobs of meshes that no simulation waits for any more."""

    def refuse(tx: Transaction, job_id: str) -> None:
        if mesh_store.is_awaited(tx, job_id):
            raise _Awaited

    for job_id in {each for each in job_ids if each is not None}:
        try:
            await platform.jobs.cancel(owner, job_id, lambda tx, job=job_id: refuse(tx, job))
        except (NotFound, _Awaited):
            continue


def _plain(given: Any, default: Any) -> Any:
    """The same for what means the same: defaults within groups are filled in, 8 is 8.0."""
    if isinstance(given, dict):
        usual = cast("dict[str, Any]", default if isinstance(default, dict) else {})
        told = usual | cast("dict[str, Any]", given)
        return {name: _plain(value, usual.get(name)) for name, value in told.items()}
    return float(given) if type(given) is int else given
