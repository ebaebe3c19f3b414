"""Lanes say whether they have work, jobs what they need, workers what they have."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Id, Timestamp

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_READY = sa.text("status = 'QUEUED' AND available_at IS NULL")
_HAS_WORK = {"sqlite": "has_work = 1", "postgresql": "has_work"}


def upgrade() -> None:
    for table in ("jobs", "workers"):
        for name, kind in (("memory_bytes", sa.BigInteger()), ("gpus", sa.Integer())):
            op.add_column(table, sa.Column(name, kind, nullable=False, server_default=sa.text("0")))
    op.drop_index("ix_jobs_ready", "jobs")
    _index(
        "ix_jobs_ready",
        ["queue", "organization_id", sa.text("priority DESC"), "id", "memory_bytes", "gpus"],
    )
    _index("ix_jobs_waiting", ["created_at", "queue"])
    _lanes_anew()


def _index(name: str, columns: list[str | sa.TextClause]) -> None:
    op.create_index(name, "jobs", columns, sqlite_where=_READY, postgresql_where=_READY)


def _lanes_anew() -> None:
    """Whose turn it is begins anew: every lane is as if it had never been served."""
    op.drop_table("lanes")
    lanes = op.create_table(
        "lanes",
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("served_at", Timestamp(), nullable=False),
        sa.Column("has_work", sa.Boolean(), nullable=False),
        sa.Column("ready", sa.Integer(), nullable=False),
        sa.Column("delayed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_lanes_organization_id")
        ),
        sa.PrimaryKeyConstraint("queue", "organization_id", name=op.f("pk_lanes")),
    )
    never = sa.literal(datetime(1970, 1, 1, tzinfo=UTC), Timestamp())
    jobs = sa.table("jobs", *map(sa.column, ("queue", "organization_id", "status", "available_at")))
    delayed = sa.func.count(jobs.c.available_at)
    ready = sa.func.count() - delayed
    waiting = (
        sa.select(jobs.c.queue, jobs.c.organization_id, never, ready > 0, ready, delayed)
        .where(jobs.c.status == "QUEUED")
        .group_by(jobs.c.queue, jobs.c.organization_id)
    )
    op.execute(sa.insert(lanes).from_select(list(lanes.c.keys()), waiting))
    which = sa.text(_HAS_WORK[op.get_context().dialect.name])
    op.create_index(
        "ix_lanes_turn",
        "lanes",
        ["queue", "served_at", "organization_id"],
        sqlite_where=which,
        postgresql_where=which,
    )
