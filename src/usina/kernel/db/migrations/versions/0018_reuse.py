"""Which job's results another may take, and from which job it has taken its own."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Id

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_KNOWN = sa.text("recipe IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("reuse", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("jobs", sa.Column("recipe", sa.String(64)))
    op.add_column("jobs", sa.Column("reused_from", Id))
    op.create_index(
        "ix_jobs_recipe",
        "jobs",
        ["organization_id", "recipe"],
        sqlite_where=_KNOWN,
        postgresql_where=_KNOWN,
    )
