"""The rows of customers and photos."""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from usina.apps.avatars.customer.customer import Customer, Photo, Told
from usina.apps.avatars.customer.table import customer_photos, customers
from usina.kernel.db.prepared import insert_new
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.files.table import files
from usina.kernel.ids import new_id
from usina.kernel.jobs.table import jobs
from usina.kernel.tenancy.audit import Note, unnoted
from usina.kernel.tenancy.caller import owned_by
from usina.kernel.tenancy.table import organizations

_PHOTO: Final = tuple(customer_photos.c[name] for name in Photo.__dataclass_fields__)
_COUNT: Final = (
    sa.select(sa.func.count())
    .where(customer_photos.c.customer_id == customers.c.id, customer_photos.c.job_id.is_not(None))
    .scalar_subquery()
    .label("photo_count")
)
_CUSTOMER: Final = (
    *(customers.c[name] for name in Customer.__dataclass_fields__ if name != "photo_count"),
    _COUNT,
)
_ENDED: Final = jobs.c.finished_at.is_not(None)


def find_customer(tx: Transaction, organization_id: str, name: str) -> Customer:
    row = tx.execute(
        sa.select(*_CUSTOMER).where(owned_by(organization_id, customers), customers.c.name == name)
    ).one_or_none()
    if row is None:
        raise NotFound
    return Customer(*row)


def ensure_customer(tx: Transaction, organization_id: str, name: str, note: Told) -> Customer:
    """The customer, new if need be, held until the end of the transaction; refused while an erasure
    is under way."""
    values = {"id": new_id(), "organization_id": organization_id, "name": name}
    if tx.execute(insert_new(customers), values | {"created_at": tx.now}).rowcount:
        note("customer.created")(tx)
    mine = sa.select(customers.c.id).where(owned_by(organization_id, customers))
    held = tx.execute(mine.where(customers.c.name == name).with_for_update())
    if held.one_or_none() is None:  # went meanwhile, with a photo that was refused
        return ensure_customer(tx, organization_id, name, note)
    customer = find_customer(tx, organization_id, name)
    if customer.erasing_at is not None:
        raise _erasing()
    return customer


def page_of_customers(
    tx: Transaction, organization_id: str, after: str | None, limit: int
) -> list[Customer]:
    """Newest first."""
    query = sa.select(*_CUSTOMER).where(owned_by(organization_id, customers))
    if after is not None:
        query = query.where(customers.c.id < after)
    rows = tx.execute(query.order_by(customers.c.id.desc()).limit(limit))
    return [Customer(*row) for row in rows]


def set_retention(
    tx: Transaction, organization_id: str, name: str, days: float | None, note: Told
) -> Customer:
    customer = ensure_customer(tx, organization_id, name, note)
    if customer.retention_days != days:
        change = sa.update(customers).where(customers.c.id == customer.id)
        tx.execute(change.values(retention_days=days))
        before = {"retention_days": customer.retention_days}
        note("customer.changed", before, {"retention_days": days})(tx)
    return find_customer(tx, organization_id, name)


def begin_erasing(
    tx: Transaction, organization_id: str, name: str, note: Note = unnoted
) -> Customer:
    """From the commit on nothing is added to the customer any more; noted the first time."""
    mine = sa.update(customers).where(owned_by(organization_id, customers))
    begun = mine.where(customers.c.name == name, customers.c.erasing_at.is_(None))
    if tx.execute(begun.values(erasing_at=tx.now)).rowcount:
        note(tx)
    return find_customer(tx, organization_id, name)


def being_erased(tx: Transaction, limit: int) -> list[Customer]:
    """Erasures that began and have not ended, of anybody."""
    query = sa.select(*_CUSTOMER).where(customers.c.erasing_at.is_not(None))
    return [Customer(*row) for row in tx.execute(query.order_by(customers.c.id).limit(limit))]


def insert_photo(tx: Transaction, customer: Customer, photo_id: str, file_id: str) -> None:
    """An upload that has arrived, before its job."""
    row = {
        "id": photo_id,
        "organization_id": customer.organization_id,
        "customer_id": customer.id,
        "file_id": file_id,
        "created_at": tx.now,
    }
    tx.execute(sa.insert(customer_photos), row)


def attach_job(tx: Transaction, organization_id: str, photo_id: str, job_id: str) -> None:
    """In the transaction that accepts the job; refused when the customer is being erased."""
    mine = sa.select(customers.c.id).join(
        customer_photos, customer_photos.c.customer_id == customers.c.id
    )
    held = mine.where(
        owned_by(organization_id, customers),
        customer_photos.c.id == photo_id,
        customers.c.erasing_at.is_(None),
    )
    if tx.execute(held.with_for_update(of=customers)).one_or_none() is None:
        raise _erasing()
    photo = sa.update(customer_photos).where(customer_photos.c.id == photo_id)
    tx.execute(photo.values(job_id=job_id))


def find_photo(
    tx: Transaction, organization_id: str, job_id: str, name: str | None
) -> tuple[Photo, str]:
    """The photo of a job and its customer's name; of that customer only, where one is named."""
    query = sa.select(*_PHOTO, customers.c.name).join(
        customers, customers.c.id == customer_photos.c.customer_id
    )
    query = query.where(
        owned_by(organization_id, customer_photos), customer_photos.c.job_id == job_id
    )
    if name is not None:
        query = query.where(customers.c.name == name)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound
    *columns, found = row
    return Photo(*columns), found


def page_of_photos(
    tx: Transaction, customer: Customer, after: str | None, limit: int
) -> list[Photo]:
    """Those whose job was accepted, newest first."""
    query = sa.select(*_PHOTO).where(
        owned_by(customer.organization_id, customer_photos),
        customer_photos.c.customer_id == customer.id,
        customer_photos.c.job_id.is_not(None),
    )
    if after is not None:
        query = query.where(customer_photos.c.id < after)
    rows = tx.execute(query.order_by(customer_photos.c.id.desc()).limit(limit))
    return [Photo(*row) for row in rows]


def photos_of(tx: Transaction, customer: Customer) -> list[Photo]:
    """Every photo, also one whose job never came to be."""
    mine = customer_photos.c.customer_id == customer.id
    return [Photo(*row) for row in tx.execute(sa.select(*_PHOTO).where(mine))]


def forget_photo(tx: Transaction, photo_id: str) -> None:
    tx.execute(sa.delete(customer_photos).where(customer_photos.c.id == photo_id))


def turn_away(tx: Transaction, photo_id: str) -> None:
    """Forgets a photo that made no job, and the customer who was made with it, unless somebody has
    done something with them since."""
    photo = sa.select(customer_photos.c.customer_id, customer_photos.c.created_at)
    found = tx.execute(photo.where(customer_photos.c.id == photo_id)).one_or_none()
    if found is None:
        return
    mine = sa.select(customers.c.id).where(customers.c.id == found.customer_id)
    tx.execute(mine.with_for_update())
    forget_photo(tx, photo_id)
    others = sa.exists().where(customer_photos.c.customer_id == customers.c.id)
    tx.execute(
        sa.delete(customers).where(
            customers.c.id == found.customer_id,
            customers.c.created_at == found.created_at,
            customers.c.retention_days.is_(None),
            customers.c.erasing_at.is_(None),
            ~others,
        )
    )


def spent_uploads(tx: Transaction, before: datetime, limit: int) -> list[Photo]:
    """Photos whose upload nobody needs any more: their job has ended or gone, or, older than the
    moment, never came to be."""
    joined = customer_photos.outerjoin(jobs, jobs.c.id == customer_photos.c.job_id)
    late = sa.and_(customer_photos.c.job_id.is_(None), customer_photos.c.created_at < before)
    gone = sa.and_(customer_photos.c.job_id.is_not(None), jobs.c.id.is_(None))
    query = sa.select(*_PHOTO).select_from(joined)
    query = query.where(customer_photos.c.file_id.is_not(None), sa.or_(_ENDED, late, gone))
    return [Photo(*row) for row in tx.execute(query.limit(limit))]


def release_upload(tx: Transaction, photo: Photo) -> None:
    """Removes the upload's row; a photo without a job goes with it."""
    tx.execute(sa.delete(files).where(files.c.id == photo.file_id))
    if photo.job_id is None:
        forget_photo(tx, photo.id)
    else:
        mine = sa.update(customer_photos).where(customer_photos.c.id == photo.id)
        tx.execute(mine.values(file_id=None))


def forget_lost(tx: Transaction) -> int:
    """Photos whose job was deleted by itself, and whose upload has gone."""
    lost = sa.select(customer_photos.c.id).outerjoin(jobs, jobs.c.id == customer_photos.c.job_id)
    lost = lost.where(
        customer_photos.c.job_id.is_not(None),
        customer_photos.c.file_id.is_(None),
        jobs.c.id.is_(None),
    )
    gone = sa.delete(customer_photos).where(customer_photos.c.id.in_(lost.limit(500)))
    return tx.execute(gone).rowcount


def kept_too_long(tx: Transaction, days: float | None, limit: int) -> list[tuple[str, str]]:
    """Organization and job of ended photos that were kept as long as their customer says, or else
    their organization, or else the given one."""
    said = sa.func.coalesce(customers.c.retention_days, organizations.c.retention_photos_days)
    owned = customers.join(organizations, organizations.c.id == customers.c.organization_id)
    photos = customer_photos.join(jobs, jobs.c.id == customer_photos.c.job_id)
    photos = photos.join(owned, customers.c.id == customer_photos.c.customer_id)
    over: list[tuple[str, str]] = []
    for chosen in tx.execute(sa.select(said).select_from(owned).distinct()).scalars().all():
        kept = days if chosen is None else chosen
        if kept is not None and len(over) < limit:
            ended = jobs.c.finished_at < tx.now - timedelta(days=kept)
            query = sa.select(customer_photos.c.organization_id, jobs.c.id).select_from(photos)
            query = query.where(said.is_not_distinct_from(chosen), ended)
            found = tx.execute(query.limit(limit - len(over)))
            over.extend((row.organization_id, row.id) for row in found)
    return over


def _erasing() -> Conflict:
    return Conflict(
        "This customer is being erased; ask again when that has ended.",
        code="customer_erasing",
        retry_after_seconds=5,
    )
