"""However many deliveries there were, a sender looks at those that wait."""

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.webhooks import attempt
from usina.kernel.webhooks.attempt import Room
from usina.kernel.webhooks.table import PENDING, webhook_deliveries


class Explain(sa.Executable, sa.ClauseElement):
    """How the engine finds what the statement asks for."""

    inherit_cache = False

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.statement = statement


@compiles(Explain)
def _explain(element: Explain, compiler: SQLCompiler, **options: Any) -> str:
    how = "EXPLAIN QUERY PLAN" if compiler.dialect.name == "sqlite" else "EXPLAIN"
    return f"{how} {compiler.process(element.statement, **options)}"


def claimed(now: datetime) -> sa.Select[Any]:
    return attempt._due(now, Room(8, 8, 8, {"a:443": 8}), [])


def next_due(now: datetime) -> sa.Select[Any]:
    later = webhook_deliveries.c.next_at > now
    return sa.select(sa.func.min(webhook_deliveries.c.next_at)).where(PENDING, later)


@pytest.mark.parametrize("query", [claimed, next_due])
async def test_what_is_over_is_not_looked_at(database: Database, query: Any) -> None:
    def unit(tx: Transaction) -> str:
        if tx.connection.dialect.name == "postgresql":  # which reads a small table whole
            for way in ("seqscan", "sort", "bitmapscan"):
                tx.execute(sa.text(f"SET LOCAL enable_{way} = off"))
        return "\n".join(str(row[-1]) for row in tx.execute(Explain(query(tx.now))))

    plan = await database.write(unit)
    assert "ix_webhook_deliveries_due" in plan, plan
    if query is claimed:
        assert "ix_webhook_deliveries_order" in plan, plan
