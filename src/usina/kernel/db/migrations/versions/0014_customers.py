"""Customers, their photos, and the receipts of those who were erased."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Id, Json, Timestamp

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customers",
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("retention_days", sa.Float()),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("erasing_at", Timestamp()),
        sa.PrimaryKeyConstraint("id", name="pk_customers"),
        _owned("customers"),
    )
    names = ["organization_id", "name"]
    op.create_index("uq_customers_organization_id_name", "customers", names, unique=True)
    op.create_index("ix_customers_organization_id", "customers", ["organization_id", "id"])
    _photos()
    op.create_table(
        "customer_erasures",
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("customer_digest", sa.String(64), nullable=False),
        sa.Column("rows", Json, nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("object_bytes", sa.BigInteger(), nullable=False),
        sa.Column("requested_at", Timestamp(), nullable=False),
        sa.Column("finished_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_customer_erasures"),
        _owned("customer_erasures"),
    )
    op.create_index(
        "ix_customer_erasures_organization_id_customer_digest",
        "customer_erasures",
        ["organization_id", "customer_digest", "id"],
    )


def _photos() -> None:
    op.create_table(
        "customer_photos",
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("customer_id", Id, nullable=False),
        sa.Column("file_id", Id),
        sa.Column("job_id", Id),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_customer_photos"),
        _owned("customer_photos"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="fk_customer_photos_customer_id"
        ),
    )
    table = "customer_photos"
    op.create_index("ix_customer_photos_customer_id", table, ["customer_id", "id"])
    op.create_index("uq_customer_photos_job_id", table, ["job_id"], unique=True)
    there = sa.text("file_id IS NOT NULL")
    op.create_index(
        "ix_customer_photos_file_id",
        table,
        ["file_id"],
        sqlite_where=there,
        postgresql_where=there,
    )


def _owned(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_organization_id"
    return sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=name)
