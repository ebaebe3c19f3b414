"""Turns: what only one open transaction at a time may do."""

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.joined import AFTER, Effect
from usina.kernel.db.unit_of_work import Transaction

_LOCKS: Final = "pg_advisory_xact_lock(hashtextextended(name, 0))"
_TAKE: Final = f"SELECT {_LOCKS} FROM unnest($1::text[]) AS name WHERE {AFTER}"  # noqa: S608

_TRY: Final = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")


def take_turns(tx: Transaction, names: Collection[str]) -> None:
    """Waits until no other transaction has any of the names, and has them until its own end.

    SQLite has one writer, whose turn it always is.
    """
    if tx.effects is not None:
        tx.effects.add(Effect(_TAKE, "turns", [sorted(names)]))


def try_turn(tx: Transaction, name: str) -> bool:
    """Has the name until the end of the transaction unless another one has it; waits for nobody."""
    if tx.connection.dialect.name == "sqlite":
        return True
    return bool(tx.execute(_TRY, {"name": name}).scalar_one())
