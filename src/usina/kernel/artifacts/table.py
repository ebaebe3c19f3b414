"""The table of artifacts. A row is written with its job's success, after its object."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Timestamp, metadata

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("job_id", Id, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("media_type", sa.String(255), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("missing_at", Timestamp),
    sa.Column("content", sa.LargeBinary),
    sa.Index("ix_artifacts_job_id", "job_id", "id"),
    sa.Index("ix_artifacts_organization_id_size_bytes", "organization_id", "size_bytes"),
)
"""``content`` holds the bytes of a small one. ``missing_at`` is when a sweep found the object gone;
null while it is there."""
