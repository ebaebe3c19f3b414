"""A worker's death, told by the end of its database session: its leases are cut short.

The lease stays the only judge: a worker that merely lost its connection has a moment to come back
and renew it.
"""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.session import lives, server_is_young
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.failpoints import reach
from usina.kernel.jobs.table import RUNNING, jobs, workers

_LEFT: Final = timedelta(seconds=1)
_YOUNG_SECONDS: Final = 10.0


def session_name(worker_id: str) -> str:
    """The session that a worker holds while it lives."""
    return f"usina worker {worker_id}"


def cut_leases_of_dead(tx: Transaction) -> int:
    """Leaves one second to the leases of workers whose session has ended; how many there were.

    Does nothing just after a start of the server, when no client can have come back yet, and on
    SQLite, where the lock of the data folder is the session.
    """
    if tx.connection.dialect.name != "postgresql" or server_is_young(tx, _YOUNG_SECONDS):
        return 0
    name = sa.literal("usina worker ") + sa.cast(workers.c.id, sa.Text)
    dead = sa.select(workers.c.id).where(workers.c.holds_session, ~lives(name))
    held = (
        sa.select(jobs.c.id)
        .where(RUNNING, jobs.c.lease_expires_at > tx.now + _LEFT, jobs.c.worker_id.in_(dead))
        .order_by(jobs.c.id)
        .with_for_update(skip_locked=True)
    )
    ids = list(tx.execute(held).scalars())
    if ids:
        cut = sa.update(jobs).where(jobs.c.id.in_(ids))
        tx.execute(cut.values(lease_expires_at=tx.now + _LEFT))
        reach("cut.in_transaction")
    return len(ids)
