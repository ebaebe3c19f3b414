"""What is ready in a lane is found by its model too."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_READY = sa.text("status = 'QUEUED' AND available_at IS NULL")


def upgrade() -> None:
    lane = ("queue", "organization_id", "model")
    op.create_index(
        "ix_jobs_ready_model",
        "jobs",
        [*lane, sa.text("priority DESC"), "id", "memory_bytes", "gpus"],
        sqlite_where=_READY,
        postgresql_where=_READY,
    )
