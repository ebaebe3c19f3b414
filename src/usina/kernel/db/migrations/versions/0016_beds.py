"""Beds with their generations and files; simulations and sweeps of them."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Id, Json, Timestamp

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _beds()
    _generations()
    op.create_table(
        "bed_files",
        *_columns("bed_files"),
        sa.Column("bed_id", Id, nullable=False),
        _of("bed_files", "bed_id", "beds"),
    )
    op.create_index("ix_bed_files_bed_id", "bed_files", ["bed_id", "id"])
    _sweeps()
    _simulations()


def _beds() -> None:
    op.create_table(
        "beds",
        *_columns("beds"),
        sa.Column("plan", Json, nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.Column("deleting_at", Timestamp()),
    )
    op.create_index("ix_beds_organization_id", "beds", ["organization_id", "id"])
    _partial("ix_beds_deleting_at", "beds", ["deleting_at"], "deleting_at IS NOT NULL")


def _generations() -> None:
    table = "bed_generations"
    op.create_table(
        table,
        *_columns(table),
        sa.Column("bed_id", Id, nullable=False),
        sa.Column("job_id", Id),
        sa.Column("file_id", Id),
        sa.Column("recipe", sa.String(64)),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("superseded_at", Timestamp()),
        _of(table, "bed_id", "beds"),
    )
    op.create_index("ix_bed_generations_bed_id", table, ["bed_id", "id"])
    op.create_index("ix_bed_generations_job_id", table, ["job_id"])
    same = "ix_bed_generations_organization_id_recipe"
    op.create_index(same, table, ["organization_id", "recipe"])
    there = "superseded_at IS NOT NULL"
    _partial("ix_bed_generations_superseded_at", table, ["superseded_at"], there)


def _sweeps() -> None:
    op.create_table(
        "sweeps",
        *_columns("sweeps"),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("solver", sa.String(128), nullable=False),
        sa.Column("over", Json, nullable=False),
        sa.Column("job_id", Id),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("cancelled_at", Timestamp()),
        sa.Column("settled_at", Timestamp()),
    )
    op.create_index("ix_sweeps_organization_id", "sweeps", ["organization_id", "id"])
    _partial("ix_sweeps_open", "sweeps", ["id"], "settled_at IS NULL")


def _simulations() -> None:
    table = "simulations"
    op.create_table(
        table,
        *_columns(table),
        sa.Column("bed_id", Id, nullable=False),
        sa.Column("generation_id", Id, nullable=False),
        sa.Column("sweep_id", Id),
        sa.Column("solver", sa.String(128), nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column("over", Json, nullable=False),
        sa.Column("job_id", Id),
        sa.Column("error", Json),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("ended_at", Timestamp()),
        _of(table, "bed_id", "beds"),
        _of(table, "sweep_id", "sweeps"),
    )
    op.create_index("ix_simulations_organization_id", table, ["organization_id", "id"])
    op.create_index("ix_simulations_bed_id", table, ["bed_id", "id"])
    op.create_index("ix_simulations_generation_id", table, ["generation_id"])
    op.create_index("ix_simulations_sweep_id", table, ["sweep_id", "id"])
    op.create_index("ix_simulations_job_id", table, ["job_id"])
    waits = "job_id IS NULL AND error IS NULL"
    _partial("ix_simulations_waiting", table, ["generation_id"], waits)


def _columns(table: str) -> list[sa.schema.SchemaItem]:
    owner = f"fk_{table}_organization_id"
    return [
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=owner),
    ]


def _of(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}")


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
