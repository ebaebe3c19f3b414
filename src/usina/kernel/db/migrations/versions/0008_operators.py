"""What operators see of a worker and ask of it; schedules of an organization, newest first."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Json

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("queues", Json, nullable=True))
    op.add_column("workers", sa.Column("warm", Json, nullable=True))
    op.add_column(
        "workers", sa.Column("draining", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_index(
        "ix_schedules_organization_id", "schedules", ["organization_id", "id"], unique=False
    )
