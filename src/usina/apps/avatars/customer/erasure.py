"""Erasing a person: every object, then every row, then a receipt that proves it.

An erasure begins with a mark on the customer, from which on nothing is added. What still runs is
cancelled; objects go before the rows that name them, and all rows at once, the customer's last. So
whatever is killed in between, the mark stands and the beat ends what was begun; done twice, it does
no harm. What the receipt counts was there; what it was counted by is looked at again afterwards, in
the same transaction, and an erasure that left anything is undone and told.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import sqlalchemy as sa
import structlog

from usina.apps.avatars.customer import store
from usina.apps.avatars.customer.customer import Customer, Photo, Receipt
from usina.apps.avatars.customer.table import customer_erasures, customer_photos, customers
from usina.kernel.db.schema import metadata
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound, Unavailable
from usina.kernel.events.bus import forget_topic
from usina.kernel.failpoints import reach
from usina.kernel.files.file import File
from usina.kernel.files.table import files
from usina.kernel.idempotency.table import idempotency_answers
from usina.kernel.ids import is_id, new_id
from usina.kernel.jobs.table import jobs
from usina.kernel.page import Page
from usina.kernel.platform import Platform
from usina.kernel.storage.store import StoredObject
from usina.kernel.tenancy.audit import Note, unnoted
from usina.kernel.tenancy.caller import owned_by

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_STOP_SECONDS: Final = 10.0
_RECEIPT: Final = tuple(customer_erasures.c[name] for name in Receipt.__dataclass_fields__)
_ROUTE: Final = "POST /customers/"


async def erase(
    platform: Platform, organization_id: str, name: str, note: Note = unnoted
) -> Receipt:
    """Erases the customer; of one that was erased before the receipt comes again.

    Raises ``NotFound`` for one that never was, ``Unavailable`` (``erasure_unfinished``) where a
    program could not be stopped in time: the platform goes on by itself then.
    """
    try:
        customer = await platform.database.write(
            lambda tx: store.begin_erasing(tx, organization_id, name, note), tenant=organization_id
        )
        return await finish_erasing(platform, customer)
    except NotFound:
        digest = digest_of(platform, organization_id, name)
        before = await receipts(platform, organization_id, digest, None, 1)
        if before.items:
            return before.items[0]
        raise


async def finish_erasing(platform: Platform, customer: Customer) -> Receipt:
    """Does all of it that is still to do."""
    tenant = customer.organization_id
    photos = await platform.database.read(
        partial(store.photos_of, customer=customer), tenant=tenant
    )
    await _stop(platform, customer, [photo.job_id for photo in photos if photo.job_id])
    removed = await _remove_objects(platform, photos)
    reach("erase.after_objects")
    digest = digest_of(platform, tenant, customer.name)
    erasing = _Erasing(customer, digest, removed)
    receipt = await platform.database.write(erasing.remove_rows, tenant=tenant)
    await platform.database.scrub()
    platform.bus.wake(forget_topic(tenant))
    _log.info("customer erased", receipt=receipt.id, objects=receipt.objects)
    return receipt


def digest_of(platform: Platform, organization_id: str, name: str) -> str:
    """What stands for a customer's id on receipts: nobody gets the id out of it."""
    text = f"customer {organization_id} {name}".encode()
    return hmac.digest(platform.secret, text, hashlib.sha256).hex()


async def receipts(
    platform: Platform, organization_id: str, digest: str | None, after: str | None, limit: int
) -> Page[Receipt]:
    """Newest first; of one customer only, where its digest is given."""
    query = sa.select(*_RECEIPT).where(owned_by(organization_id, customer_erasures))
    if digest is not None:
        query = query.where(customer_erasures.c.customer_digest == digest)
    if after is not None:
        query = query.where(customer_erasures.c.id < after)
    query = query.order_by(customer_erasures.c.id.desc()).limit(limit + 1)
    rows = await platform.database.read(lambda tx: tx.execute(query).all(), tenant=organization_id)
    found = [Receipt(*row) for row in rows]
    return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)


async def receipt_of(platform: Platform, organization_id: str, receipt_id: str) -> Receipt:
    if not is_id(receipt_id):
        raise NotFound
    query = sa.select(*_RECEIPT).where(
        owned_by(organization_id, customer_erasures), customer_erasures.c.id == receipt_id
    )
    row = await platform.database.read(
        lambda tx: tx.execute(query).one_or_none(), tenant=organization_id
    )
    if row is None:
        raise NotFound
    return Receipt(*row)


async def _stop(platform: Platform, customer: Customer, job_ids: Sequence[str]) -> None:
    """Cancels what has not ended, and waits until it has."""

    async def stop(job_id: str) -> bool:
        tenant = customer.organization_id
        try:
            await platform.jobs.cancel(tenant, job_id)
            job = await platform.jobs.wait(tenant, job_id, _STOP_SECONDS)
        except NotFound:
            return True
        return job.status.terminal

    if not all(await asyncio.gather(*map(stop, job_ids))):
        raise Unavailable(
            "A program of this customer still runs; the erasure goes on by itself. Ask again to"
            " see its end.",
            code="erasure_unfinished",
        )


async def _remove_objects(platform: Platform, photos: Sequence[Photo]) -> list[StoredObject]:
    """Everything of the photos in the store, also what no row names; looked at again afterwards."""
    found = await platform.store.run(lambda: list(_objects(platform, photos)))
    await platform.store.run(lambda: platform.store.delete([each.key for each in found]))
    left = await platform.store.run(lambda: next(_objects(platform, photos), None))
    if left is not None:
        raise Unavailable("The store still has an object of this customer; ask again.")
    return found


def _objects(platform: Platform, photos: Sequence[Photo]) -> Iterator[StoredObject]:
    for photo in photos:
        tenant = photo.organization_id
        folders = [f"{kind}/{tenant}/{photo.job_id}/" for kind in ("artifacts", "checkpoints")]
        for folder in folders if photo.job_id else ():
            yield from platform.store.list(folder)
        if photo.file_id is not None:
            key = File.key_of(tenant, photo.file_id)
            size = platform.store.size(key)
            if size is not None:
                yield StoredObject(key, size, photo.created_at)


@dataclass(frozen=True, slots=True)
class _Erasing:
    """The unit that removes every row of a customer and writes the receipt."""

    customer: Customer
    digest: str
    removed: Sequence[StoredObject]

    def remove_rows(self, tx: Transaction) -> Receipt:
        held = sa.select(customers.c.id).where(customers.c.id == self.customer.id)
        if tx.execute(held.with_for_update()).one_or_none() is None:
            raise NotFound  # somebody else has ended it
        photos = store.photos_of(tx, self.customer)
        rows: dict[str, int] = {}
        parts = list(_rows_of(self.customer, photos))
        for table, condition in parts:
            gone = tx.execute(sa.delete(table).where(condition)).rowcount
            rows[table.name] = rows.get(table.name, 0) + gone
        for table, condition in parts:
            if tx.execute(sa.select(sa.func.count()).select_from(table).where(condition)).scalar():
                raise Unavailable(f"Rows of {table.name} were left; ask again.")
        receipt = Receipt(
            new_id(),
            self.customer.organization_id,
            self.digest,
            {name: count for name, count in sorted(rows.items()) if count},
            len(self.removed),
            sum(each.size_bytes for each in self.removed),
            self.customer.erasing_at or tx.now,
            tx.now,
        )
        values = {name: getattr(receipt, name) for name in Receipt.__dataclass_fields__}
        tx.execute(sa.insert(customer_erasures), values)
        return receipt


def _rows_of(
    customer: Customer, photos: Sequence[Photo]
) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
    """Every table that may have rows of the customer, and which they are: those that hang on a
    job of theirs in whatever room, what answered their uploads, and what is the customer's own."""
    job_ids = [photo.job_id for photo in photos if photo.job_id]
    file_ids = [photo.file_id for photo in photos if photo.file_id]
    own = (jobs, files, customer_photos)
    hanging = [t for t in metadata.sorted_tables if "job_id" in t.c and t not in own]
    for table in reversed(hanging):
        yield table, table.c.job_id.in_(job_ids)
    yield customer_photos, customer_photos.c.customer_id == customer.id
    yield jobs, jobs.c.id.in_(job_ids)
    yield files, files.c.id.in_(file_ids)
    mine = owned_by(customer.organization_id, idempotency_answers)
    route = idempotency_answers.c.route == _ROUTE + customer.name
    yield idempotency_answers, sa.and_(mine, route)
    yield customers, customers.c.id == customer.id
