"""What an organization has of what quotas limit: counted from the rows themselves, so that no
accident makes a counter wrong."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from usina.kernel.artifacts.table import artifacts
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.files.table import files
from usina.kernel.jobs.table import RUNNING, checkpoints, jobs, lanes
from usina.kernel.tenancy.caller import owned_by

_STORED: Final = (files, artifacts, checkpoints)


@dataclass(frozen=True, slots=True)
class Usage:
    running_jobs: int
    queued_jobs: int
    stored_bytes: int


def usage_of(tx: Transaction, organization_id: str) -> Usage:
    return Usage(
        running_jobs(tx, organization_id),
        queued_jobs(tx, organization_id),
        stored_bytes(tx, organization_id),
    )


def running_jobs(tx: Transaction, organization_id: str) -> int:
    query = sa.select(sa.func.count()).where(owned_by(organization_id, jobs), RUNNING)
    return tx.execute(query).scalar_one()


def queued_jobs(tx: Transaction, organization_id: str) -> int:
    """Also those that wait for their next attempt."""
    waiting = sa.func.coalesce(sa.func.sum(lanes.c.ready + lanes.c.delayed), 0)
    return int(tx.execute(sa.select(waiting).where(owned_by(organization_id, lanes))).scalar_one())


def stored_bytes(tx: Transaction, organization_id: str) -> int:
    """Of files, artifacts and checkpoints; an upload that said its size has it from its opening."""
    sums = [
        sa.select(sa.func.coalesce(sa.func.sum(table.c.size_bytes), 0))
        .where(owned_by(organization_id, table))
        .scalar_subquery()
        for table in _STORED
    ]
    return int(tx.execute(sa.select(sums[0] + sums[1] + sums[2])).scalar_one())
