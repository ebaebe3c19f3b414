"""Gates: what a job's results were held to, and whether it asked to fail by them."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("strict", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("jobs", sa.Column("gates", Json, nullable=True))
