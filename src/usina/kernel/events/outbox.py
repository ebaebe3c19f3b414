"""What is to be told outside: written with the event that it tells of, taken by who delivers it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from usina.kernel.db.prepared import Prepared
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.events.table import outbox
from usina.kernel.ids import new_id

if TYPE_CHECKING:
    from usina.kernel.events.log import NewEvent

OUTBOX_TOPIC: Final = "outbox"
"""Woken after a commit that left something to be told outside."""

_INSERT: Final = Prepared(
    sa.insert(outbox), ("id", "organization_id", "job_id", "seq", "type", "at", "url")
)


def put(tx: Transaction, told: Sequence["NewEvent"]) -> None:
    """Keeps the events that somebody outside waits for; costs nothing where nobody does."""
    rows = [
        {
            "id": new_id(),
            "organization_id": event.organization_id,
            "job_id": event.job_id,
            "seq": event.seq,
            "type": event.type,
            "at": tx.now,
            "url": event.callback_url,
        }
        for event in told
        if event.callback_url is not None
    ]
    if rows:
        _INSERT.run_many(tx, rows)
