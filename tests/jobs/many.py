"""Many queued jobs at once, for what must not depend on how many there are."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from tests.databases import as_owner
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.jobs.store import lane
from usina.kernel.jobs.table import jobs

_AT_ONCE: Final = 50_000
_COUNT: Final = {
    "sqlite": "RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :last)",
    "postgresql": "n(i) AS (SELECT generate_series(CAST(:first AS int), CAST(:last AS int) - 1))",
}
_ID: Final = {
    "sqlite": "'01900000-0000-7000-8000-' || printf('%012x', i)",
    "postgresql": "CAST('01900000-0000-7000-8000-' || lpad(to_hex(i), 12, '0') AS uuid)",
}
_COPIED: Final = (
    "model, model_version, queue, slots, memory_bytes, gpus, status, progress, params, inputs,"
    " labels, priority, attempt, max_attempts, lost, timeout_seconds, created_at, last_seq, strict"
)


async def multiply(
    database: Database, pattern: str, owners: Sequence[str], count: int, *, after: int = 0
) -> None:
    """So many copies of a queued job, all older than any that comes, spread over the organizations
    in turn; ``after`` so many that were made before. Indexes are made afterwards, which is quicker.
    """
    await database.write(_drop_indexes)
    for first in range(after, after + count, _AT_ONCE):
        last = min(after + count, first + _AT_ONCE)
        await database.write(lambda tx, a=first, b=last: _copy(tx, pattern, owners, a, b))
    for index in jobs.indexes:
        await database.write(lambda tx, i=index: _create(tx, i))
    for one in await database.read(lane.miscounted):
        await database.write(lambda tx, o=one: lane.count_anew(tx, o))


def _drop_indexes(tx: Transaction) -> None:
    as_owner(tx)
    for index in jobs.indexes:
        index.drop(tx.connection)


def _create(tx: Transaction, index: sa.Index) -> None:
    as_owner(tx)
    index.create(tx.connection)


def _copy(tx: Transaction, pattern: str, owners: Sequence[str], first: int, last: int) -> None:
    """``owners`` as a table of values that the numbers are joined with."""
    name = tx.connection.dialect.name
    places = ", ".join(f"({place}, '{owner}')" for place, owner in enumerate(owners))
    cast = "CAST(o.column2 AS uuid)" if name == "postgresql" else "o.column2"
    tx.execute(
        sa.text(
            f"INSERT INTO jobs (id, organization_id, {_COPIED}) WITH {_COUNT[name]}"
            f" SELECT {_ID[name]}, {cast}, {_COPIED} FROM n"
            f" JOIN (VALUES {places}) AS o ON o.column1 = n.i % {len(owners)}"
            f" CROSS JOIN jobs WHERE jobs.id = '{pattern}'"
        ),
        {"first": first, "last": last},
    )
