"""The memory of GPUs: what a job needs, what it held, what a worker has."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Json

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_READY = sa.text("status = 'QUEUED' AND available_at IS NULL")
_ORDER = (sa.text("priority DESC"), "id", "memory_bytes", "gpus", "gpu_memory_bytes")


def upgrade() -> None:
    for table in ("jobs", "workers"):
        needed = sa.Column("gpu_memory_bytes", sa.BigInteger, nullable=False, server_default="0")
        op.add_column(table, needed)
    op.add_column("jobs", sa.Column("peak_gpu_memory_bytes", sa.BigInteger))
    op.add_column("workers", sa.Column("cards", Json))
    _ready_again("ix_jobs_ready", "queue", "organization_id")
    _ready_again("ix_jobs_ready_model", "queue", "organization_id", "model")


def _ready_again(name: str, *lane: str) -> None:
    op.drop_index(name, "jobs")
    op.create_index(name, "jobs", [*lane, *_ORDER], sqlite_where=_READY, postgresql_where=_READY)
