"""Workers say which models they can run, and why not the others."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Json

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("models", Json, nullable=True))
