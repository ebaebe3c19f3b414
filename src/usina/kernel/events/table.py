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
