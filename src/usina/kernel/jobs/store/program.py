"""Which program stands behind each model, as the workers tell it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from usina.kernel.db.prepared import Prepared
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.store.worker import heard_of, served
from usina.kernel.jobs.table import programs, workers


def remember(tx: Transaction, told: Mapping[str, str]) -> None:
    """What a worker tells of its models, for when none lives that can run them."""
    rows = [{"model": name, "identity": told[name], "told_at": tx.now} for name in sorted(told)]
    if rows:
        _REMEMBER.run_many(tx, rows)


def programs_of(tx: Transaction, alive: timedelta) -> dict[str, str]:
    """By model the identity of its program: the one that all living workers tell that can run it,
    and nothing where they differ or one has not told. Where none can, what was told last."""
    rows = tx.execute(sa.select(programs.c.model, programs.c.identity))
    found = {row.model: row.identity for row in rows}
    told: dict[str, set[str]] = {}
    living = sa.select(workers.c.models, workers.c.programs).where(heard_of(tx, alive))
    for row in tx.execute(living):
        theirs: Mapping[str, str] = row.programs or {}
        for name in served(row.models):
            told.setdefault(name, set()).add(theirs.get(name, ""))
    for name, identities in told.items():
        found[name] = identities.pop() if len(identities) == 1 else ""
    return found


_NEW: Final = postgresql.insert(programs)
_REMEMBER: Final = Prepared(
    _NEW.on_conflict_do_update(
        index_elements=(programs.c.model,),
        set_={"identity": _NEW.excluded.identity, "told_at": _NEW.excluded.told_at},
    ),
    ("model", "identity", "told_at"),
)
