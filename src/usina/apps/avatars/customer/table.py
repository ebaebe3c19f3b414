"""The tables of customers. What a photo is doing stands with its job, and nowhere else."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Json, Timestamp, metadata

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("retention_days", sa.Float),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("erasing_at", Timestamp),
    sa.Index("uq_customers_organization_id_name", "organization_id", "name", unique=True),
    sa.Index("ix_customers_organization_id", "organization_id", "id"),
)
"""``name`` is the caller's own id of the person; it stands in no other column. ``erasing_at`` is
when an erasure began: from then on nothing is added, and the row goes last."""

customer_photos = sa.Table(
    "customer_photos",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("customer_id", Id, sa.ForeignKey("customers.id"), nullable=False),
    sa.Column("file_id", Id),
    sa.Column("job_id", Id),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Index("ix_customer_photos_customer_id", "customer_id", "id"),
    sa.Index("uq_customer_photos_job_id", "job_id", unique=True),
    sa.Index(
        "ix_customer_photos_file_id",
        "file_id",
        sqlite_where=sa.text("file_id IS NOT NULL"),
        postgresql_where=sa.text("file_id IS NOT NULL"),
    ),
)
"""``file_id`` is the upload as it came, until its job has ended; ``job_id`` is null for the moment
between the upload and its job."""

customer_erasures = sa.Table(
    "customer_erasures",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("customer_digest", sa.String(64), nullable=False),
    sa.Column("rows", Json, nullable=False),
    sa.Column("objects", sa.Integer, nullable=False),
    sa.Column("object_bytes", sa.BigInteger, nullable=False),
    sa.Column("requested_at", Timestamp, nullable=False),
    sa.Column("finished_at", Timestamp, nullable=False),
    sa.Index(
        "ix_customer_erasures_organization_id_customer_digest",
        "organization_id",
        "customer_digest",
        "id",
    ),
)
"""Receipts. ``customer_digest`` is keyed: who knows the id recognizes it, and it tells nobody."""
