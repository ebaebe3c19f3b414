"""The tables of webhooks. A delivery that is to be sent lies on its row, with the moment."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Json, Timestamp, metadata

webhook_endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("event_types", Json, nullable=False),
    sa.Column("description", sa.String(200), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("failing_since", Timestamp),
    sa.Column("disabled_at", Timestamp),
    sa.Column("disabled_reason", sa.String(16)),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Index("ix_webhook_endpoints_organization_id", "organization_id", "id"),
)
"""``position`` is how far in its organization's log deliveries were made for it."""

webhook_secrets = sa.Table(
    "webhook_secrets",
    metadata,
    sa.Column("owner_id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("salt", sa.String(32), nullable=False),
    sa.Column("previous_salt", sa.String(32)),
    sa.Column("rotated_at", Timestamp, nullable=False),
)
"""Of an organization or of an endpoint: what its secret is worked out from, never the secret."""

webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("endpoint_id", Id),
    sa.Column("job_id", Id),
    sa.Column("position", sa.BigInteger),
    sa.Column("seq", sa.Integer),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("place", sa.String(260), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("attempts", Json, nullable=False),
    sa.Column("attempt_count", sa.Integer, nullable=False),
    sa.Column("first_at", Timestamp),
    sa.Column("next_at", Timestamp),
    sa.Column("claim_token", Id),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Index("uq_webhook_deliveries_endpoint_id_position", "endpoint_id", "position", unique=True),
    sa.Index("ix_webhook_deliveries_organization_id", "organization_id", "id"),
    sa.Index("ix_webhook_deliveries_created_at", "created_at"),
)
"""``position`` and ``seq`` are those of the event, null where nothing of the log is told.
``tries`` counts since it was made or replayed, ``attempt_count`` since it was made. A claim
moves ``next_at`` to its own end, so that what a dead sender held is due again by itself."""

PENDING = webhook_deliveries.c.status == sa.literal_column("'pending'")


def _pending(name: str, *columns: sa.ColumnElement[object]) -> None:
    sa.Index(name, *columns, sqlite_where=PENDING, postgresql_where=PENDING)


_pending("ix_webhook_deliveries_due", webhook_deliveries.c.next_at, webhook_deliveries.c.id)
_pending(
    "ix_webhook_deliveries_order",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.job_id,
    webhook_deliveries.c.position,
)
