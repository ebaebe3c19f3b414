"""What a database knows of itself: its id, the epoch of its log, the secret of its links.

The epoch stands in every cursor: whoever copies or restores a database gives it a new one, so that
old cursors are refused plainly. Its id stays, so that its store still knows it.
"""

import secrets
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.prepared import Prepared, insert_new
from usina.kernel.db.schema import metadata
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict
from usina.kernel.ids import new_id

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

_INSERT_NEW: Final = Prepared(insert_new(meta), ("key", "value"))
_MADE_AT_FIRST: Final = {
    "platform_id": new_id,
    "epoch": lambda: secrets.token_hex(4),
    "secret": lambda: secrets.token_hex(32),
}


COPYING: Final = "copying"
"""While a copy into the database is not finished: the platform that is being copied."""


def prepare(tx: Transaction) -> None:
    """Gives a fresh database its values; what is there stays, whoever wrote it.

    Raises ``Conflict`` (``copy_unfinished``) for a database that is not all there yet.
    """
    present = set(tx.execute(sa.select(meta.c.key)).scalars())
    if COPYING in present:
        raise Conflict(
            "A copy into this database was begun and has not ended, so it is no platform yet. Run "
            "the same `usina db copy` again: it goes on.",
            code="copy_unfinished",
        )
    missing = [
        {"key": k, "value": make()} for k, make in _MADE_AT_FIRST.items() if k not in present
    ]
    if missing:
        _INSERT_NEW.run_many(tx, missing)


def _value(tx: Transaction, key: str) -> str:
    return tx.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar_one()


def platform_id(tx: Transaction) -> str:
    return _value(tx, "platform_id")


def epoch(tx: Transaction) -> str:
    return _value(tx, "epoch")


def renew_epoch(tx: Transaction) -> None:
    """From now on every cursor that was given out is refused."""
    fresh = sa.update(meta).where(meta.c.key == "epoch")
    tx.execute(fresh.values(value=_MADE_AT_FIRST["epoch"]()))


def secret(tx: Transaction) -> bytes:
    """256 bits that sign the platform's links."""
    return bytes.fromhex(_value(tx, "secret"))
