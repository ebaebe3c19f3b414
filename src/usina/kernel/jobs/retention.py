"""What is old enough to go: ended jobs with all that hangs on them."""

from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs import checkpoint
from usina.kernel.jobs.store.change import erase
from usina.kernel.jobs.table import jobs

KeysOfJobs = Callable[[Transaction, Sequence[str]], list[str]]


def forget_ended_before(
    tx: Transaction, moment: datetime, limit: int, keys_of_jobs: KeysOfJobs
) -> tuple[int, list[str]]:
    """Erases up to ``limit`` jobs that ended before the moment, oldest first.

    Returns how many went and the keys of their objects, to be deleted after the commit.
    """
    old = sa.select(jobs.c.id).where(jobs.c.finished_at < moment)
    oldest = old.order_by(jobs.c.finished_at).limit(limit).with_for_update(skip_locked=True)
    ids = list(tx.execute(oldest).scalars())
    if not ids:
        return 0, []
    keys = [*keys_of_jobs(tx, ids), *checkpoint.keys_of_jobs(tx, ids)]
    erase(tx, ids)
    return len(ids), keys
