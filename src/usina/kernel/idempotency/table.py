"""The first answers of creating requests, by organization, route and key."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Json, Timestamp, metadata

idempotency_answers = sa.Table(
    "idempotency_answers",
    metadata,
    sa.Column("organization_id", Id, primary_key=True),
    sa.Column("route", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("headers", Json, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("expires_at", Timestamp, nullable=False),
    sa.Index("ix_idempotency_answers_expires_at", "expires_at"),
)
