"""What the sweep asks of artifacts."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.table import artifacts
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.ids import is_id
from usina.kernel.storage.sweep import Expired, StoredRow

_COLUMNS: Final = (
    artifacts.c.organization_id,
    artifacts.c.job_id,
    artifacts.c.id,
    artifacts.c.missing_at,
)


class ArtifactOwner:
    """Artifacts come and go with their jobs, so nothing expires here."""

    prefix = "artifacts/"
    row_first = False

    def known(self, tx: Transaction, keys: Sequence[str]) -> set[str]:
        ids = [last for key in keys if is_id(last := key.rpartition("/")[2])]
        rows = tx.execute(sa.select(*_COLUMNS).where(artifacts.c.id.in_(ids)))
        return {_key(row) for row in rows}

    def stored_after(self, tx: Transaction, last_id: str, limit: int) -> list[StoredRow]:
        query = sa.select(*_COLUMNS).where(artifacts.c.id > last_id, artifacts.c.content.is_(None))
        rows = tx.execute(query.order_by(artifacts.c.id).limit(limit))
        return [StoredRow(row.id, _key(row), row.missing_at is not None) for row in rows]

    def mark(self, tx: Transaction, row_ids: Sequence[str], missing: bool) -> int:
        rows = sa.update(artifacts).where(artifacts.c.id.in_(row_ids))
        return tx.execute(rows.values(missing_at=tx.now if missing else None)).rowcount

    def expire(self, tx: Transaction, limit: int) -> Expired:
        return Expired(0, ())


def _key(row: sa.Row[Any]) -> str:
    return Artifact.key_of(row.organization_id, row.job_id, row.id)
