"""The event log's table. In an organization, positions are in the order of its commits."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Json, Serial, Timestamp, metadata

events = sa.Table(
    "events",
    metadata,
    sa.Column("position", Serial, primary_key=True, autoincrement=True),
    sa.Column("organization_id", Id, nullable=False),
    sa.Column("job_id", Id),
    sa.Column("seq", sa.Integer),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Index("uq_events_job_id_seq", "job_id", "seq", unique=True),
    sa.Index("ix_events_organization_id_position", "organization_id", "position"),
    sqlite_autoincrement=True,
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, nullable=False),
    sa.Column("job_id", Id, nullable=False),
    sa.Column("seq", sa.Integer),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Index("ix_outbox_job_id", "job_id"),
)
"""Events that one address outside is to be told, until a delivery was made of each. Who reads the
log needs no row here."""
