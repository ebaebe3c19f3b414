"""The rows of files and uploads."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.failpoints import reach
from usina.kernel.files.file import File, Upload
from usina.kernel.files.table import files
from usina.kernel.storage.digest import Digest
from usina.kernel.tenancy.caller import owned_by

_FILE: Final = tuple(files.c[name] for name in File.__dataclass_fields__)
_UPLOAD: Final = tuple(files.c[name] for name in Upload.__dataclass_fields__)
PENDING: Final = files.c.status == sa.literal("pending", literal_execute=True)
READY: Final = files.c.status == sa.literal("ready", literal_execute=True)
"""Written out in the statement, so that SQLite sees that its partial indexes fit."""

_WAITING: Final = (PENDING, files.c.completes_itself, files.c.sha256.is_(None))


def insert_files(tx: Transaction, received: Sequence[File]) -> None:
    """From this commit on they are files; their objects are in the store already."""
    rows = [
        {
            **{name: getattr(file, name) for name in File.__dataclass_fields__},
            "status": "ready",
            "completes_itself": True,
            "last_used_at": tx.now,
        }
        for file in received
    ]
    if rows:
        tx.execute(sa.insert(files), rows)
    reach("upload.before_commit")


def insert_upload(tx: Transaction, upload: Upload) -> None:
    row = {name: getattr(upload, name) for name in Upload.__dataclass_fields__}
    tx.execute(sa.insert(files), {**row, "status": "pending", "last_used_at": tx.now})


def find_file(
    tx: Transaction, organization_id: str, file_id: str, *, to_delete: bool = False
) -> File | None:
    """With ``to_delete`` no job takes the file up before the end of the transaction."""
    query = sa.select(*_FILE).where(files.c.id == file_id, READY, owned_by(organization_id, files))
    if to_delete:
        query = query.with_for_update()
    row = tx.execute(query).one_or_none()
    return None if row is None else File(*row)


def find_upload(tx: Transaction, upload_id: str) -> Upload | File | None:
    """By id alone: for a link that was signed for this upload, before it expires."""
    row = tx.execute(sa.select(files).where(files.c.id == upload_id)).one_or_none()
    if row is None or (row.status == "pending" and row.expires_at <= tx.now):
        return None
    if row.status == "pending":
        return Upload(*(getattr(row, name) for name in Upload.__dataclass_fields__))
    return File(*(getattr(row, name) for name in File.__dataclass_fields__))


def find_tickets(tx: Transaction, organization_id: str, ids: Collection[str]) -> Sequence[Upload]:
    """Those of the uploads that complete themselves and have no bytes yet, late ones too."""
    mine = owned_by(organization_id, files)
    found = tx.execute(sa.select(*_UPLOAD).where(mine, files.c.id.in_(ids), *_WAITING))
    return [Upload(*row) for row in found]


def late_tickets(tx: Transaction, after_id: str, limit: int) -> Sequence[Upload]:
    """Those of anybody whose time is over, in order of their ids."""
    late = sa.select(*_UPLOAD).where(*_WAITING, files.c.expires_at <= tx.now)
    page = late.where(files.c.id > after_id).order_by(files.c.id).limit(limit)
    return [Upload(*row) for row in tx.execute(page)]


def awaits_content(tx: Transaction, upload_id: str) -> bool:
    empty = sa.select(files.c.id).where(PENDING, files.c.sha256.is_(None))
    return tx.execute(empty.where(files.c.id == upload_id)).one_or_none() is not None


def record_content(
    tx: Transaction, upload: Upload, media_type: str, content: Digest, object_id: str | None = None
) -> bool:
    """Every byte is there: what was declared gives way to what is so.

    False when the upload has gone meanwhile, or had its bytes already.
    """
    values: dict[str, object] = {
        "media_type": media_type,
        "size_bytes": content.size_bytes,
        "sha256": content.sha256,
        "object_id": object_id,
    }
    if upload.completes_itself:
        values |= _completed(tx.now)
    empty = sa.update(files).where(files.c.id == upload.id, files.c.sha256.is_(None))
    recorded = tx.execute(empty.values(values)).rowcount == 1
    reach("upload.before_commit")
    return recorded


def complete_upload(tx: Transaction, upload_id: str) -> bool:
    """Makes a received upload a file; false when it was one already."""
    pending = sa.update(files).where(files.c.id == upload_id, PENDING, files.c.sha256.is_not(None))
    return tx.execute(pending.values(_completed(tx.now))).rowcount == 1


def _completed(now: datetime) -> dict[str, object]:
    return {"status": "ready", "expires_at": None, "last_used_at": now}


def delete_file(tx: Transaction, file_id: str) -> None:
    tx.execute(sa.delete(files).where(files.c.id == file_id))


def touch_files(tx: Transaction, file_ids: Collection[str]) -> None:
    """They are used now; the time until they may go begins anew."""
    tx.execute(sa.update(files).where(files.c.id.in_(file_ids)).values(last_used_at=tx.now))
