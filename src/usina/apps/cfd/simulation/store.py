"""The rows of simulations and sweeps."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from usina.apps.cfd.bed.table import bed_generations, beds
from usina.apps.cfd.simulation import mesh_store
from usina.apps.cfd.simulation.simulation import Simulation, Sweep
from usina.apps.cfd.simulation.table import simulations, sweeps
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound
from usina.kernel.ids import is_id
from usina.kernel.jobs.state import JobError
from usina.kernel.jobs.table import jobs
from usina.kernel.tenancy.caller import owned_by

_SIMULATION: Final = tuple(simulations.c[name] for name in Simulation.__dataclass_fields__)
_SWEEP: Final = tuple(sweeps.c[name] for name in Sweep.__dataclass_fields__)
_WAITING: Final = sa.and_(simulations.c.job_id.is_(None), simulations.c.error.is_(None))
_LOST: Final = sa.and_(simulations.c.job_id.is_not(None), jobs.c.id.is_(None))
CANCELLED: Final = JobError.of("cancelled", None, "The simulation was cancelled before it began.")


def insert(tx: Transaction, simulation: Simulation) -> None:
    row = {name: getattr(simulation, name) for name in Simulation.__dataclass_fields__}
    tx.execute(sa.insert(simulations), {**row, "created_at": tx.now})


def insert_sweep(tx: Transaction, sweep: Sweep) -> None:
    row = {name: getattr(sweep, name) for name in Sweep.__dataclass_fields__}
    tx.execute(sa.insert(sweeps), {**row, "created_at": tx.now})


def find(tx: Transaction, organization_id: str, simulation_id: str) -> Simulation:
    if not is_id(simulation_id):
        raise NotFound
    query = _of_beds(organization_id).where(simulations.c.id == simulation_id)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return Simulation(*row)


def find_sweep(tx: Transaction, organization_id: str, sweep_id: str) -> Sweep:
    if not is_id(sweep_id):
        raise NotFound
    query = sa.select(*_SWEEP).where(owned_by(organization_id, sweeps), sweeps.c.id == sweep_id)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return Sweep(*row)


def page(
    tx: Transaction,
    organization_id: str,
    after: str | None,
    limit: int,
    *,
    bed_id: str | None = None,
    sweep_id: str | None = None,
) -> list[Simulation]:
    """Newest first."""
    query = _of_beds(organization_id)
    for column, wanted in ((simulations.c.bed_id, bed_id), (simulations.c.sweep_id, sweep_id)):
        if wanted is not None and not is_id(wanted):
            return []
        if wanted is not None:
            query = query.where(column == wanted)
    if after is not None:
        query = query.where(simulations.c.id < after)
    rows = tx.execute(query.order_by(simulations.c.id.desc()).limit(limit))
    return [Simulation(*row) for row in rows]


def page_of_sweeps(
    tx: Transaction, organization_id: str, after: str | None, limit: int
) -> list[Sweep]:
    """Newest first."""
    query = sa.select(*_SWEEP).where(owned_by(organization_id, sweeps))
    if after is not None:
        query = query.where(sweeps.c.id < after)
    return [Sweep(*row) for row in tx.execute(query.order_by(sweeps.c.id.desc()).limit(limit))]


def members(tx: Transaction, sweep_ids: Sequence[str]) -> dict[str, list[Simulation]]:
    """By sweep, in the order of the values; of sweeps that were found for their organization."""
    found: dict[str, list[Simulation]] = {sweep_id: [] for sweep_id in sweep_ids}
    query = sa.select(*_SIMULATION).where(simulations.c.sweep_id.in_(sweep_ids))
    for row in tx.execute(query.order_by(simulations.c.id)):
        simulation = Simulation(*row)
        found[simulation.sweep_id or ""].append(simulation)
    return found


def attach_job(tx: Transaction, simulation_id: str, job_id: str, mesh_job_id: str | None) -> bool:
    """In the transaction that makes the job; false where the simulation waits no more."""
    mine = sa.update(simulations).where(simulations.c.id == simulation_id, _WAITING)
    return tx.execute(mine.values(job_id=job_id, mesh_job_id=mesh_job_id)).rowcount == 1


def end_without_job(tx: Transaction, simulation_id: str, error: JobError) -> bool:
    """False where it waits no more."""
    mine = sa.update(simulations).where(simulations.c.id == simulation_id, _WAITING)
    return tx.execute(mine.values(error=error.as_json(), ended_at=tx.now)).rowcount == 1


def ready_to_start(tx: Transaction, limit: int) -> list[tuple[Simulation, str | None, str | None]]:
    """Waiting simulations of anybody whose generation, and whose mesh, waits no more: with the
    state of the generation's job, null where there is no job, and the file in place of one."""
    mesh = jobs.alias("mesh")
    query = (
        sa.select(*_SIMULATION, jobs.c.status, bed_generations.c.file_id)
        .outerjoin(bed_generations, bed_generations.c.id == simulations.c.generation_id)
        .outerjoin(jobs, jobs.c.id == bed_generations.c.job_id)
        .outerjoin(mesh, mesh.c.id == simulations.c.mesh_job_id)
        .where(
            _WAITING,
            sa.or_(jobs.c.id.is_(None), jobs.c.finished_at.is_not(None)),
            sa.or_(mesh.c.id.is_(None), mesh.c.finished_at.is_not(None)),
        )
        .order_by(simulations.c.id)
    )
    found: list[tuple[Simulation, str | None, str | None]] = []
    for row in tx.execute(query.limit(limit)):
        columns: list[Any] = [*row]
        found.append((Simulation(*columns[:-2]), columns[-2], columns[-1]))
    return found


def job_of_generation(tx: Transaction, generation_id: str) -> str | None:
    query = sa.select(bed_generations.c.job_id).where(bed_generations.c.id == generation_id)
    return tx.execute(query).scalar()


def cancel_sweep(tx: Transaction, sweep: Sweep) -> None:
    """What waits has ended; what runs is the caller's to stop."""
    mine = sa.update(sweeps).where(sweeps.c.id == sweep.id, sweeps.c.cancelled_at.is_(None))
    tx.execute(mine.values(cancelled_at=tx.now))
    _stop_waiting(tx, simulations.c.sweep_id == sweep.id)


def open_sweeps(tx: Transaction, limit: int) -> list[Sweep]:
    """Those of anybody with something left to do, the oldest first."""
    query = sa.select(*_SWEEP).where(sweeps.c.settled_at.is_(None)).order_by(sweeps.c.id)
    return [Sweep(*row) for row in tx.execute(query.limit(limit))]


def unended(tx: Transaction, sweep_id: str) -> list[Simulation]:
    """Members of the sweep that wait or run."""
    query = sa.select(*_SIMULATION).outerjoin(jobs, jobs.c.id == simulations.c.job_id)
    runs = sa.and_(jobs.c.id.is_not(None), jobs.c.finished_at.is_(None))
    query = query.where(simulations.c.sweep_id == sweep_id, sa.or_(_WAITING, runs))
    return [Simulation(*row) for row in tx.execute(query)]


def settle(tx: Transaction, sweep_id: str, job_id: str | None) -> bool:
    """False where somebody has settled it, or, with a job, cancelled it."""
    mine = sa.update(sweeps).where(sweeps.c.id == sweep_id, sweeps.c.settled_at.is_(None))
    if job_id is not None:
        mine = mine.where(sweeps.c.cancelled_at.is_(None))
    return tx.execute(mine.values(settled_at=tx.now, job_id=job_id)).rowcount == 1


def close_bed(tx: Transaction, bed_id: str) -> None:
    """Nothing of the bed is started any more."""
    _stop_waiting(tx, simulations.c.bed_id == bed_id)
    mesh_store.pass_on(tx, bed_id)
    alone = sa.update(sweeps).where(sweeps.c.id.in_(_sweeps_only_of(bed_id)))
    tx.execute(alone.where(sweeps.c.settled_at.is_(None)).values(settled_at=tx.now))


def jobs_of_bed(tx: Transaction, bed_id: str) -> list[str]:
    """Of its simulations, of their meshes, and of the sweeps that have no other bed."""
    own = sa.select(simulations.c.job_id).where(simulations.c.bed_id == bed_id)
    tables = sa.select(sweeps.c.job_id).where(sweeps.c.id.in_(_sweeps_only_of(bed_id)))
    found = [*tx.execute(own).scalars(), *tx.execute(tables).scalars()]
    found += mesh_store.jobs_of_bed(tx, bed_id)
    return [job_id for job_id in found if job_id is not None]


def forget_bed(tx: Transaction, bed_id: str) -> None:
    alone = list(tx.execute(_sweeps_only_of(bed_id)).scalars())
    tx.execute(sa.delete(simulations).where(simulations.c.bed_id == bed_id))
    tx.execute(sa.delete(sweeps).where(sweeps.c.id.in_(alone)))
    mesh_store.forget_bed(tx, bed_id)


def forget_lost(tx: Transaction) -> int:
    """Simulations and meshes whose job was deleted by itself."""
    lost = sa.select(simulations.c.id).outerjoin(jobs, jobs.c.id == simulations.c.job_id)
    gone = sa.delete(simulations).where(simulations.c.id.in_(lost.where(_LOST).limit(500)))
    return tx.execute(gone).rowcount + mesh_store.forget_lost(tx)


def _of_beds(organization_id: str) -> sa.Select[Any]:
    """Those of beds that are not being deleted."""
    query = sa.select(*_SIMULATION).join(beds, beds.c.id == simulations.c.bed_id)
    return query.where(owned_by(organization_id, simulations), beds.c.deleting_at.is_(None))


def _sweeps_only_of(bed_id: str) -> sa.Select[tuple[str]]:
    other = simulations.alias("other")
    mine = sa.select(simulations.c.sweep_id).where(
        simulations.c.bed_id == bed_id, simulations.c.sweep_id.is_not(None)
    )
    others = sa.select(other.c.id).where(
        other.c.sweep_id == simulations.c.sweep_id, other.c.bed_id != bed_id
    )
    return mine.where(~others.exists()).distinct()


def _stop_waiting(tx: Transaction, condition: sa.ColumnElement[bool]) -> None:
    waiting = sa.update(simulations).where(_WAITING, condition)
    tx.execute(waiting.values(error=CANCELLED.as_json(), ended_at=tx.now))
