"""Which programs the workers run, and which waiting jobs an earlier result would do for."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Json, Timestamp

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("programs", Json))
    op.create_table(
        "programs",
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("told_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("model", name="pk_programs"),
    )
    op.create_index(
        "ix_jobs_reusing",
        "jobs",
        ["id"],
        sqlite_where=sa.text("status = 'QUEUED' AND reuse = 1"),
        postgresql_where=sa.text("status = 'QUEUED' AND reuse"),
    )
