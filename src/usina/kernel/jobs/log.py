"""The output of a job's program: chunk rows while it runs, an artifact afterwards."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from usina.kernel.artifacts.table import artifacts
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import NotFound
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.table import job_logs, jobs
from usina.kernel.tenancy.caller import owned_by


@dataclass(frozen=True, slots=True)
class LogText:
    """Bytes of an attempt's log from ``offset``; ``complete`` when no more come after them."""

    attempt: int
    offset: int
    data: bytes
    complete: bool


@dataclass(frozen=True, slots=True)
class KeptLog:
    """The log of an ended attempt, kept as an artifact."""

    attempt: int
    artifact_id: str


_FIRST: Final = 1


def log_name(attempt: int) -> str:
    return "log.txt" if attempt == _FIRST else f"log-{attempt}.txt"


def read_log(
    tx: Transaction, organization_id: str, job_id: str, attempt: int | None, offset: int, limit: int
) -> LogText | KeptLog:
    """What there is of the log; raises ``NotFound`` for a job or attempt that is not there."""
    row = tx.execute(
        sa.select(jobs.c.attempt, jobs.c.status).where(
            jobs.c.id == job_id, owned_by(organization_id, jobs)
        )
    ).one_or_none()
    if row is None or (attempt is not None and not 1 <= attempt <= row.attempt):
        raise NotFound
    wanted = row.attempt if attempt is None else attempt
    kept = tx.execute(
        sa.select(artifacts.c.id).where(
            artifacts.c.job_id == job_id,
            artifacts.c.attempt == wanted,
            artifacts.c.kind == "log",
            artifacts.c.name == log_name(wanted),
        )
    ).scalar_one_or_none()
    if kept is not None:
        return KeptLog(wanted, kept)
    live = wanted == row.attempt and not Status(row.status).terminal
    return LogText(
        wanted,
        offset,
        data := _chunks(tx, job_id, wanted, offset, limit),
        complete=not live and len(data) < limit,
    )


def _chunks(tx: Transaction, job_id: str, attempt: int, offset: int, limit: int) -> bytes:
    rows = tx.execute(
        sa.select(job_logs.c.start_byte, job_logs.c.data)
        .where(
            job_logs.c.job_id == job_id,
            job_logs.c.attempt == attempt,
            job_logs.c.start_byte + sa.func.length(job_logs.c.data) > offset,
        )
        .order_by(job_logs.c.start_byte)
    )
    found = bytearray()
    for row in rows:
        data: bytes = row.data
        found += data[max(0, offset - row.start_byte) :]
        if len(found) >= limit:
            break
    return bytes(found[:limit])
