"""Workers that hold a session of the database say so: its end tells of their death."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    held = sa.Column("holds_session", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("workers", held)
