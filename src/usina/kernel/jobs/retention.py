"""What is old enough to go: ended jobs with all that hangs on them."""

from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.month import Month, months
from usina.kernel.jobs import checkpoint
from usina.kernel.jobs.store.change import erase
from usina.kernel.jobs.table import jobs
from usina.kernel.tenancy.caller import owned_by

KeysOfJobs = Callable[[Transaction, Sequence[str]], list[str]]


def months_over(tx: Transaction, moment: datetime) -> list[Month]:
    """The months of the log that are over and all of whose jobs ended before the moment."""
    return [
        month
        for month in months(tx)
        if month.after(1).begins <= moment and not _stays(tx, month, moment)
    ]


def _stays(tx: Transaction, month: Month, moment: datetime) -> bool:
    of_month = sa.and_(jobs.c.id >= month.low, jobs.c.id < month.high)
    young = sa.or_(jobs.c.finished_at.is_(None), jobs.c.finished_at >= moment)
    return bool(tx.execute(sa.select(sa.exists().where(of_month, young))).scalar_one())


def forget_ended_before(
    tx: Transaction,
    moment: datetime,
    limit: int,
    keys_of_jobs: KeysOfJobs,
    dropped: Sequence[Month] = (),
    of: str | None = None,
) -> tuple[int, list[str]]:
    """Erases up to ``limit`` jobs that ended before the moment, oldest first; of one organization,
    or of all.

    Events of jobs in the months that are ``dropped`` afterwards are left to that. Returns how many
    went and the keys of their objects, to be deleted after the commit.
    """
    old = sa.select(jobs.c.id).where(jobs.c.finished_at < moment)
    if of is not None:
        old = old.where(owned_by(of, jobs))
    oldest = old.order_by(jobs.c.finished_at).limit(limit).with_for_update(skip_locked=True)
    ids = list(tx.execute(oldest).scalars())
    if not ids:
        return 0, []
    keys = [*keys_of_jobs(tx, ids), *checkpoint.keys_of_jobs(tx, ids)]
    erase(tx, ids, dropped)
    return len(ids), keys
