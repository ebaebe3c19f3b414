"""What is told outside says which event of its job it is; where a session was opened from; how long
an organization keeps photos."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("outbox", "webhook_deliveries"):
        op.add_column(table, sa.Column("seq", sa.Integer()))
    op.add_column("sessions", sa.Column("ip", sa.String(64)))
    op.add_column("organizations", sa.Column("retention_photos_days", sa.Double()))
