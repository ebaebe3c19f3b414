"""Which layers were around a job's program, and which a worker can put on."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("sandbox", Json, nullable=True))
    op.add_column("workers", sa.Column("sandbox", Json, nullable=True))
