"""Checkpoints: what an attempt saved for the next one. A job has at most one, its newest.

The object comes before its row and goes after it. A row is written only while the attempt's lease
stands, and stays until the job succeeds or is deleted: a cancelled or failed job that is reopened
goes on from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.failpoints import reach
from usina.kernel.ids import is_id
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.jobs.table import RUNNING, checkpoints, jobs
from usina.kernel.storage.sweep import Expired, StoredRow


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``name`` is the file's own, as its program called it."""

    id: str
    organization_id: str
    job_id: str
    attempt: int
    name: str
    size_bytes: int
    sha256: str

    @property
    def key(self) -> str:
        return f"checkpoints/{self.organization_id}/{self.job_id}/{self.id}"


_FIELDS: Final = tuple(Checkpoint.__dataclass_fields__)
_COLUMNS: Final = tuple(checkpoints.c[name] for name in _FIELDS)


def keep(tx: Transaction, lease: Lease, new: Checkpoint) -> str | None:
    """Makes ``new`` the job's checkpoint; returns the key of the object that nobody needs now.

    That is the one before it, or, where the lease was lost, the new one: nothing was written then.
    """
    held = sa.select(jobs.c.id).where(
        jobs.c.id == lease.job_id,
        RUNNING,
        jobs.c.attempt == lease.attempt,
        jobs.c.lease_token == lease.token,
    )
    if tx.execute(held.with_for_update()).one_or_none() is None:
        return new.key
    before = find(tx, lease.job_id)
    tx.execute(sa.delete(checkpoints).where(checkpoints.c.job_id == lease.job_id))
    values = {name: getattr(new, name) for name in _FIELDS}
    tx.execute(sa.insert(checkpoints), values | {"created_at": tx.now})
    reach("checkpoint.in_transaction")
    return before.key if before else None


def find(tx: Transaction, job_id: str) -> Checkpoint | None:
    """The job's checkpoint, if an attempt saved one."""
    row = tx.execute(sa.select(*_COLUMNS).where(checkpoints.c.job_id == job_id)).one_or_none()
    return None if row is None else Checkpoint(*row)


def keys_of_jobs(tx: Transaction, job_ids: Sequence[str]) -> list[str]:
    """The objects to delete once the rows are gone."""
    those = sa.select(*_COLUMNS).where(checkpoints.c.job_id.in_(job_ids))
    return [Checkpoint(*row).key for row in tx.execute(those)]


def forget(tx: Transaction, job_ids: Sequence[str]) -> list[str]:
    """Removes the jobs' checkpoints; returns the keys to delete once that is committed."""
    keys = keys_of_jobs(tx, job_ids)
    if keys:
        tx.execute(sa.delete(checkpoints).where(checkpoints.c.job_id.in_(job_ids)))
    return keys


class CheckpointOwner:
    """What the sweep asks of checkpoints. One is over once its job has succeeded: its attempt drops
    it then, and what a kill left of that goes here."""

    prefix = "checkpoints/"
    row_first = False

    def known(self, tx: Transaction, keys: Sequence[str]) -> set[str]:
        ids = [last for key in keys if is_id(last := key.rpartition("/")[2])]
        rows = tx.execute(sa.select(*_COLUMNS).where(checkpoints.c.id.in_(ids)))
        return {Checkpoint(*row).key for row in rows}

    def stored_after(self, tx: Transaction, last_id: str, limit: int) -> list[StoredRow]:
        query = sa.select(*_COLUMNS, checkpoints.c.missing_at).where(checkpoints.c.id > last_id)
        rows = tx.execute(query.order_by(checkpoints.c.id).limit(limit))
        found = [(Checkpoint(*columns), missing_at) for *columns, missing_at in rows]
        return [StoredRow(one.id, one.key, gone is not None) for one, gone in found]

    def mark(self, tx: Transaction, row_ids: Sequence[str], missing: bool) -> int:
        rows = sa.update(checkpoints).where(checkpoints.c.id.in_(row_ids))
        return tx.execute(rows.values(missing_at=tx.now if missing else None)).rowcount

    def expire(self, tx: Transaction, limit: int) -> Expired:
        over = checkpoints.join(jobs, jobs.c.id == checkpoints.c.job_id)
        left = sa.select(jobs.c.id).select_from(over).where(jobs.c.status == "SUCCEEDED")
        job_ids = list(tx.execute(left.limit(limit)).scalars())
        return Expired(len(job_ids), forget(tx, job_ids))
