"""The rows of meshes: which job makes one, or has made it, and which bed it goes with."""

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from usina.apps.cfd.bed.table import bed_generations, beds
from usina.apps.cfd.simulation.simulation import Simulation
from usina.apps.cfd.simulation.table import bed_meshes, simulations
from usina.kernel.artifacts.table import artifacts
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.ids import new_id
from usina.kernel.jobs.table import jobs
from usina.kernel.tenancy.caller import owned_by

MADE: Final = "mesh.zip"
_WAITS: Final = sa.and_(simulations.c.job_id.is_(None), simulations.c.error.is_(None))
_UNFINISHED: Final = ("QUEUED", "RUNNING")


@dataclass(frozen=True, slots=True)
class Mesh:
    """``artifact_id`` is null while its job makes it."""

    job_id: str
    artifact_id: str | None


def find(tx: Transaction, organization_id: str, key: str, *, held: bool = False) -> Mesh | None:
    """The mesh of that key that is there, else one that is being made. With ``held`` it does not go
    before the end of the transaction."""
    of_job = sa.and_(artifacts.c.job_id == jobs.c.id, artifacts.c.name == MADE)
    query = (
        sa.select(jobs.c.id, artifacts.c.id)
        .select_from(bed_meshes)
        .join(jobs, jobs.c.id == bed_meshes.c.job_id)
        .join(beds, beds.c.id == bed_meshes.c.bed_id)
        .outerjoin(artifacts, of_job)
        .where(
            owned_by(organization_id, bed_meshes),
            bed_meshes.c.key == key,
            beds.c.deleting_at.is_(None),
            jobs.c.cancel_requested_at.is_(None),
            sa.or_(artifacts.c.id.is_not(None), jobs.c.status.in_(_UNFINISHED)),
        )
        .order_by(artifacts.c.id.is_(None), bed_meshes.c.id)
    )
    if held:
        query = query.with_for_update(read=True, of=(jobs, bed_meshes))
    row = tx.execute(query.limit(1)).one_or_none()
    return None if row is None else Mesh(*row)


def hold_generation(tx: Transaction, generation_id: str) -> None:
    """So that two simulations of one bed do not both begin its mesh."""
    query = sa.select(bed_generations.c.id).where(bed_generations.c.id == generation_id)
    tx.execute(query.with_for_update())


def add(tx: Transaction, simulation: Simulation, key: str, job_id: str) -> None:
    """The mesh goes with the simulation's bed."""
    row = {
        "id": new_id(),
        "organization_id": simulation.organization_id,
        "bed_id": simulation.bed_id,
        "key": key,
        "job_id": job_id,
        "created_at": tx.now,
    }
    tx.execute(sa.insert(bed_meshes), row)


def wait(tx: Transaction, simulation_id: str, job_id: str) -> bool:
    """The simulation waits for that job's mesh; false where it waits no more."""
    mine = sa.update(simulations).where(simulations.c.id == simulation_id, _WAITS)
    return tx.execute(mine.values(mesh_job_id=job_id)).rowcount == 1


def failure_of(tx: Transaction, job_id: str | None) -> dict[str, Any] | None:
    """The error of the job, where it has ended with one."""
    return tx.execute(sa.select(jobs.c.error).where(jobs.c.id == job_id)).scalar()


def is_awaited(tx: Transaction, job_id: str) -> bool:
    query = sa.select(simulations.c.id).where(simulations.c.mesh_job_id == job_id, _WAITS)
    return tx.execute(query.limit(1)).first() is not None


def jobs_of_bed(tx: Transaction, bed_id: str) -> list[str]:
    query = sa.select(bed_meshes.c.job_id).where(bed_meshes.c.bed_id == bed_id)
    return list(tx.execute(query).scalars())


def pass_on(tx: Transaction, bed_id: str) -> None:
    """A bed is deleted: a mesh that another one's simulations have goes with that one from now on;
    who waits for one that is still being made, of this bed's particles, looks for another."""
    own = sa.select(bed_meshes.c.id, bed_meshes.c.job_id, jobs.c.finished_at)
    own = own.outerjoin(jobs, jobs.c.id == bed_meshes.c.job_id)
    own = own.where(bed_meshes.c.bed_id == bed_id).with_for_update(of=bed_meshes)
    for row in tx.execute(own).all():
        others = sa.and_(simulations.c.mesh_job_id == row.job_id, simulations.c.bed_id != bed_id)
        if row.finished_at is None:
            tx.execute(sa.update(simulations).where(others, _WAITS).values(mesh_job_id=None))
            continue
        heirs = sa.select(simulations.c.bed_id).join(beds, beds.c.id == simulations.c.bed_id)
        heir = tx.execute(heirs.where(others, beds.c.deleting_at.is_(None)).limit(1)).scalar()
        if heir is not None:
            moved = sa.update(bed_meshes).where(bed_meshes.c.id == row.id)
            tx.execute(moved.values(bed_id=heir))


def forget_bed(tx: Transaction, bed_id: str) -> None:
    tx.execute(sa.delete(bed_meshes).where(bed_meshes.c.bed_id == bed_id))


def forget_lost(tx: Transaction) -> int:
    """Meshes whose job was deleted by itself."""
    lost = sa.select(bed_meshes.c.id).outerjoin(jobs, jobs.c.id == bed_meshes.c.job_id)
    lost = lost.where(jobs.c.id.is_(None)).limit(500)
    return tx.execute(sa.delete(bed_meshes).where(bed_meshes.c.id.in_(lost))).rowcount
