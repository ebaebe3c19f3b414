"""The rows of beds, their generations and their files."""

from collections.abc import Collection, Sequence
from typing import Final

import sqlalchemy as sa

from usina.apps.cfd.bed.bed import Bed, Generation
from usina.apps.cfd.bed.plan import BedPlan
from usina.apps.cfd.bed.table import bed_files, bed_generations, beds
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound
from usina.kernel.files.file import File
from usina.kernel.files.table import files
from usina.kernel.ids import is_id, new_id
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.table import jobs
from usina.kernel.tenancy.caller import owned_by

_BED: Final = (
    *(beds.c[name] for name in ("id", "organization_id", "plan", "created_at", "updated_at")),
)
_GENERATION: Final = tuple(bed_generations.c[name] for name in Generation.__dataclass_fields__)
_FILE: Final = tuple(files.c[name] for name in File.__dataclass_fields__)
_HOPEFUL: Final = ("QUEUED", "RUNNING", "SUCCEEDED")


def find_bed(tx: Transaction, organization_id: str, bed_id: str, *, held: bool = False) -> Bed:
    """With ``held`` nobody changes or deletes it before the end of the transaction."""
    if not is_id(bed_id):
        raise NotFound
    query = sa.select(*_BED).where(
        owned_by(organization_id, beds), beds.c.id == bed_id, beds.c.deleting_at.is_(None)
    )
    row = tx.execute(query.with_for_update() if held else query).one_or_none()
    if row is None:
        raise NotFound
    return _bed(row)


def page_of_beds(tx: Transaction, organization_id: str, after: str | None, limit: int) -> list[Bed]:
    """Newest first."""
    query = sa.select(*_BED).where(owned_by(organization_id, beds), beds.c.deleting_at.is_(None))
    if after is not None:
        query = query.where(beds.c.id < after)
    return [_bed(row) for row in tx.execute(query.order_by(beds.c.id.desc()).limit(limit))]


def insert_bed(tx: Transaction, bed: Bed) -> None:
    row = {
        "id": bed.id,
        "organization_id": bed.organization_id,
        "plan": bed.plan.model_dump(),
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    tx.execute(sa.insert(beds), row)


def replace_plan(tx: Transaction, bed: Bed, plan: BedPlan) -> None:
    change = sa.update(beds).where(owned_by(bed.organization_id, beds), beds.c.id == bed.id)
    tx.execute(change.values(plan=plan.model_dump(), updated_at=tx.now))


def add_generation(
    tx: Transaction,
    bed: Bed,
    *,
    job_id: str | None = None,
    file_id: str | None = None,
    recipe: str | None = None,
) -> Generation:
    """The newest one from now on."""
    older = sa.update(bed_generations).where(
        owned_by(bed.organization_id, bed_generations),
        bed_generations.c.bed_id == bed.id,
        bed_generations.c.superseded_at.is_(None),
    )
    tx.execute(older.values(superseded_at=tx.now))
    new = Generation(new_id(), bed.organization_id, bed.id, job_id, file_id, recipe)
    row = {name: getattr(new, name) for name in Generation.__dataclass_fields__}
    tx.execute(sa.insert(bed_generations), {**row, "created_at": tx.now})
    return new


def generations_of(tx: Transaction, bed_ids: Collection[str]) -> dict[str, list[Generation]]:
    """By bed, the newest first; of beds that were found for their organization."""
    found: dict[str, list[Generation]] = {bed_id: [] for bed_id in bed_ids}
    query = sa.select(*_GENERATION).where(bed_generations.c.bed_id.in_(bed_ids))
    for row in tx.execute(query.order_by(bed_generations.c.id.desc())):
        generation = Generation(*row)
        found[generation.bed_id].append(generation)
    return found


def reusable(
    tx: Transaction, organization_id: str, recipes: Collection[str], *, held: bool = False
) -> dict[str, str]:
    """By recipe the newest job that makes or has made its particles. With ``held`` none of them
    goes before the end of the transaction."""
    query = (
        sa.select(bed_generations.c.recipe, jobs.c.id)
        .join(jobs, jobs.c.id == bed_generations.c.job_id)
        .where(
            owned_by(organization_id, bed_generations),
            owned_by(organization_id, jobs),
            bed_generations.c.recipe.in_(recipes),
            jobs.c.status.in_(_HOPEFUL),
            jobs.c.cancel_requested_at.is_(None),
        )
        .order_by(jobs.c.id)
    )
    if held:
        query = query.with_for_update(read=True, of=jobs)
    return {row.recipe: row.id for row in tx.execute(query)}


def used_elsewhere(tx: Transaction, job_id: str, generation_ids: Collection[str]) -> bool:
    """Whether a generation that is none of these has the job too."""
    query = sa.select(bed_generations.c.id).where(
        bed_generations.c.job_id == job_id, bed_generations.c.id.not_in(generation_ids)
    )
    return tx.execute(query.limit(1)).first() is not None


def is_replaced(tx: Transaction, generation: Generation) -> bool:
    """Whether a newer generation of the bed is ready."""
    query = (
        sa.select(bed_generations.c.id)
        .outerjoin(jobs, jobs.c.id == bed_generations.c.job_id)
        .where(
            bed_generations.c.bed_id == generation.bed_id,
            bed_generations.c.id > generation.id,
            sa.or_(bed_generations.c.file_id.is_not(None), jobs.c.status == "SUCCEEDED"),
        )
    )
    return tx.execute(query.limit(1)).first() is not None


def status_of(tx: Transaction, job_id: str | None) -> Status | None:
    """Of the job; null where it is not there."""
    found = tx.execute(sa.select(jobs.c.status).where(jobs.c.id == job_id)).scalar()
    return None if found is None else Status(found)


def insert_file(tx: Transaction, bed: Bed, file_id: str) -> None:
    row = {"id": file_id, "organization_id": bed.organization_id, "bed_id": bed.id}
    tx.execute(sa.insert(bed_files), row)


def files_of(tx: Transaction, bed: Bed) -> list[File]:
    """Uploads of the bed that are still there, the oldest first."""
    query = (
        sa.select(*_FILE)
        .join(bed_files, bed_files.c.id == files.c.id)
        .where(owned_by(bed.organization_id, bed_files), bed_files.c.bed_id == bed.id)
        .order_by(bed_files.c.id)
    )
    return [File(*row) for row in tx.execute(query)]


def forget_file(tx: Transaction, organization_id: str, file_id: str) -> None:
    """With what was made of it."""
    for table, column in ((bed_files, "id"), (bed_generations, "file_id")):
        mine = sa.delete(table).where(owned_by(organization_id, table))
        tx.execute(mine.where(table.c[column] == file_id))


def kept_files(tx: Transaction, file_ids: Sequence[str]) -> set[str]:
    """Those of the files that a bed has, of whatever organization."""
    return set(tx.execute(sa.select(bed_files.c.id).where(bed_files.c.id.in_(file_ids))).scalars())


def superseded(tx: Transaction, limit: int) -> list[Generation]:
    """Of anybody, the oldest first."""
    query = sa.select(*_GENERATION).where(bed_generations.c.superseded_at.is_not(None))
    rows = tx.execute(query.order_by(bed_generations.c.superseded_at).limit(limit))
    return [Generation(*row) for row in rows]


def forget_generation(tx: Transaction, generation_id: str) -> None:
    tx.execute(sa.delete(bed_generations).where(bed_generations.c.id == generation_id))


def begin_deleting(tx: Transaction, organization_id: str, bed_id: str) -> Bed:
    """From the commit on nobody sees the bed. Once begun it may be begun again."""
    if not is_id(bed_id):
        raise NotFound
    mine = sa.select(*_BED).where(owned_by(organization_id, beds), beds.c.id == bed_id)
    row = tx.execute(mine.with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    tx.execute(sa.update(beds).where(beds.c.id == bed_id).values(deleting_at=tx.now))
    return _bed(row)


def being_deleted(tx: Transaction, limit: int) -> list[Bed]:
    """Deletions that began and have not ended, of anybody."""
    query = sa.select(*_BED).where(beds.c.deleting_at.is_not(None)).order_by(beds.c.deleting_at)
    return [_bed(row) for row in tx.execute(query.limit(limit))]


def forget_bed(tx: Transaction, bed: Bed) -> None:
    """The row and what hangs on it."""
    for table in (bed_generations, bed_files):
        tx.execute(sa.delete(table).where(table.c.bed_id == bed.id))
    tx.execute(sa.delete(beds).where(beds.c.id == bed.id))


def _bed(row: sa.Row[*tuple[object, ...]]) -> Bed:
    columns = row._mapping  # pyright: ignore[reportPrivateUsage]
    return Bed(
        id=columns["id"],
        organization_id=columns["organization_id"],
        plan=BedPlan.model_validate(columns["plan"]),
        created_at=columns["created_at"],
        updated_at=columns["updated_at"],
    )
