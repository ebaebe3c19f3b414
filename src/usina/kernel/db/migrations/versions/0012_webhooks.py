"""Webhooks: endpoints, their secrets' salts, deliveries; the outbox of jobs' own callbacks."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Id, Json, Timestamp

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("callback_url", sa.Text(), nullable=True))
    op.create_table(
        "outbox",
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("job_id", Id, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("at", Timestamp, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_job_id", "outbox", ["job_id"])
    _endpoints()
    _deliveries()


def _endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_types", Json, nullable=False),
        sa.Column("description", sa.String(200), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", Timestamp, nullable=True),
        sa.Column("disabled_at", Timestamp, nullable=True),
        sa.Column("disabled_reason", sa.String(16), nullable=True),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name="fk_webhook_endpoints_organization_id",
        ),
    )
    op.create_index(
        "ix_webhook_endpoints_organization_id", "webhook_endpoints", ["organization_id", "id"]
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("owner_id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("previous_salt", sa.String(32), nullable=True),
        sa.Column("rotated_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name="pk_webhook_secrets"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_webhook_secrets_organization_id"
        ),
    )


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("endpoint_id", Id, nullable=True),
        sa.Column("job_id", Id, nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("at", Timestamp, nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("place", sa.String(260), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("attempts", Json, nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("first_at", Timestamp, nullable=True),
        sa.Column("next_at", Timestamp, nullable=True),
        sa.Column("claim_token", Id, nullable=True),
        sa.Column("created_at", Timestamp, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name="fk_webhook_deliveries_organization_id",
        ),
    )
    _index("uq_webhook_deliveries_endpoint_id_position", "endpoint_id", "position", unique=True)
    _index("ix_webhook_deliveries_organization_id", "organization_id", "id")
    _index("ix_webhook_deliveries_created_at", "created_at")
    _index("ix_webhook_deliveries_due", "next_at", "id", where=_PENDING)
    _index("ix_webhook_deliveries_order", "endpoint_id", "job_id", "position", where=_PENDING)


def _index(
    name: str, *columns: str, unique: bool = False, where: sa.TextClause | None = None
) -> None:
    op.create_index(
        name,
        "webhook_deliveries",
        list(columns),
        unique=unique,
        sqlite_where=where,
        postgresql_where=where,
    )
