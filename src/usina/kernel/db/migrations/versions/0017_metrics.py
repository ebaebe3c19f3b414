"""What a program tells of its run is seen while it runs."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Json

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("metrics", Json, nullable=True))
