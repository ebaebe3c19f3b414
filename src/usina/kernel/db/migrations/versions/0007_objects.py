"""Which of the objects that were made for a file at once holds its bytes."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Id

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("object_id", Id, nullable=True))
