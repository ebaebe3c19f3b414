"""The table of files. An upload is a file that is ``pending`` until it is completed."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Timestamp, metadata

files = sa.Table(
    "files",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("media_type", sa.String(255), nullable=False),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("sha256", sa.String(64)),
    sa.Column("completes_itself", sa.Boolean, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("last_used_at", Timestamp, nullable=False),
    sa.Column("expires_at", Timestamp),
    sa.Column("missing_at", Timestamp),
    sa.Column("object_id", Id),
    sa.Index("ix_files_organization_id_size_bytes", "organization_id", "size_bytes"),
)
"""While pending, ``media_type`` and ``size_bytes`` are as declared (null when not), ``sha256`` is
null until every byte is there, and ``expires_at`` is set. ``completes_itself``: the last byte
makes the file ready. ``missing_at`` is when a sweep found the object gone. ``object_id`` ends the
object's key where several could be made at once; null: the key ends with the row's id."""

_PENDING = files.c.status == "pending"
_READY = files.c.status == "ready"

sa.Index(
    "ix_files_expires_at", files.c.expires_at, sqlite_where=_PENDING, postgresql_where=_PENDING
)
sa.Index(
    "ix_files_last_used_at", files.c.last_used_at, sqlite_where=_READY, postgresql_where=_READY
)
