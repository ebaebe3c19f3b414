"""Meshes that simulations of a bed share, and which one a simulation waits for or was given."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Id, Timestamp

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("simulations", sa.Column("mesh_job_id", Id))
    op.create_index("ix_simulations_mesh_job_id", "simulations", ["mesh_job_id"])
    table = "bed_meshes"
    op.create_table(
        table,
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("bed_id", Id, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("job_id", Id, nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        *(
            sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}")
            for column, other in (("organization_id", "organizations"), ("bed_id", "beds"))
        ),
    )
    op.create_index(f"ix_{table}_organization_id_key", table, ["organization_id", "key"])
    op.create_index(f"ix_{table}_bed_id", table, ["bed_id"])
    op.create_index(f"ix_{table}_job_id", table, ["job_id"])
