"""What the sweep asks of files and of the parts of uploads."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.files.file import File
from usina.kernel.files.store import PENDING, READY, touch_files
from usina.kernel.files.table import files
from usina.kernel.ids import is_id
from usina.kernel.storage.sweep import Expired, StoredRow
from usina.kernel.tenancy.caller import owned_by
from usina.kernel.tenancy.retention import own_ages

_COLUMNS: Final = (
    files.c.organization_id,
    files.c.id,
    files.c.object_id,
    files.c.missing_at,
)


UsedByJobs = Callable[[Transaction, Sequence[str]], set[str]]
"""Those of the files that any job names, finished or not; jobs stand above files."""


class FileOwner:
    """Files that no job names go once they were not used for ``kept_for``; null keeps them.

    An organization may keep its own for a shorter time.
    """

    prefix = "files/"
    row_first = False

    def __init__(self, used_by_jobs: UsedByJobs, kept_for: timedelta | None) -> None:
        self._used_by_jobs = used_by_jobs
        self._kept_for = kept_for

    def known(self, tx: Transaction, keys: Sequence[str]) -> set[str]:
        ids = list(filter(is_id, map(File.id_in, keys)))
        rows = tx.execute(sa.select(*_COLUMNS).where(files.c.id.in_(ids)))
        return {_key(row) for row in rows}

    def stored_after(self, tx: Transaction, last_id: str, limit: int) -> list[StoredRow]:
        query = sa.select(*_COLUMNS).where(files.c.id > last_id, READY)
        rows = tx.execute(query.order_by(files.c.id).limit(limit))
        return [StoredRow(row.id, _key(row), row.missing_at is not None) for row in rows]

    def mark(self, tx: Transaction, row_ids: Sequence[str], missing: bool) -> int:
        rows = sa.update(files).where(files.c.id.in_(row_ids))
        return tx.execute(rows.values(missing_at=tx.now if missing else None)).rowcount

    def expire(self, tx: Transaction, limit: int) -> Expired:
        unused = [
            sa.and_(owned_by(owner, files), files.c.last_used_at < tx.now - age)
            for owner, age in own_ages(tx, "files_days").items()
        ]
        if self._kept_for is not None:
            unused.append(files.c.last_used_at < tx.now - self._kept_for)
        if not unused:
            return Expired(0, ())
        old = sa.select(*_COLUMNS).where(READY, sa.or_(*unused))
        oldest = old.order_by(files.c.last_used_at).limit(limit)
        rows = tx.execute(oldest.with_for_update(skip_locked=True))
        keys = {row.id: _key(row) for row in rows}
        used = self._used_by_jobs(tx, list(keys))
        touch_files(tx, used)
        gone = [file_id for file_id in keys if file_id not in used]
        tx.execute(sa.delete(files).where(files.c.id.in_(gone)))
        return Expired(len(keys), [keys[file_id] for file_id in gone])


class UploadOwner:
    """Uploads and their parts; those not completed in time go."""

    prefix = "uploads/"
    row_first = True

    def known(self, tx: Transaction, keys: Sequence[str]) -> set[str]:
        by_upload: dict[str, list[str]] = {}
        for key in keys:
            _, _, rest = key.removeprefix(self.prefix).partition("/")
            by_upload.setdefault(rest.partition("/")[0], []).append(key)
        ids = list(filter(is_id, by_upload))
        pending = tx.execute(sa.select(files.c.id).where(files.c.id.in_(ids), PENDING)).scalars()
        return {key for upload_id in pending for key in by_upload[upload_id]}

    def stored_after(self, tx: Transaction, last_id: str, limit: int) -> list[StoredRow]:
        """An upload may have no bytes yet."""
        return []

    def mark(self, tx: Transaction, row_ids: Sequence[str], missing: bool) -> int:
        raise AssertionError("no part of an upload is ever missed")

    def expire(self, tx: Transaction, limit: int) -> Expired:
        """The rows; parts then have no row any more, and go in the same sweep."""
        late = sa.select(*_COLUMNS).where(PENDING, files.c.expires_at <= tx.now)
        oldest = late.order_by(files.c.expires_at).limit(limit)
        rows = tx.execute(oldest.with_for_update(skip_locked=True)).all()
        tx.execute(sa.delete(files).where(files.c.id.in_([row.id for row in rows])))
        return Expired(len(rows), [_key(row) for row in rows])


def _key(row: sa.Row[Any]) -> str:
    return File.key_of(row.organization_id, row.id, row.object_id)
