"""Turns: what only one open transaction at a time may do."""

from collections.abc import Collection

from usina.kernel.db.unit_of_work import Transaction

_TAKE = "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest($1::text[]) AS name"


def take_turns(tx: Transaction, names: Collection[str]) -> None:
    """Waits until no other transaction has any of the names, and has them until its own end.

    SQLite has one writer, whose turn it always is.
    """
    if tx.connection.dialect.name == "postgresql":
        tx.driver.execute(_TAKE, [sorted(names)])
