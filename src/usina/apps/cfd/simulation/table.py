"""The tables of simulations. What one is doing stands with its job, once it has one."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Json, Timestamp, metadata

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("solver", sa.String(128), nullable=False),
    sa.Column("over", Json, nullable=False),
    sa.Column("job_id", Id),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("cancelled_at", Timestamp),
    sa.Column("settled_at", Timestamp),
    sa.Index("ix_sweeps_organization_id", "organization_id", "id"),
    sa.Index(
        "ix_sweeps_open",
        "id",
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    ),
)
"""``job_id`` makes the table and the plot. ``settled_at`` is when nothing was left to be done:
that job was made, or the sweep was cancelled and all of it has stopped."""

simulations = sa.Table(
    "simulations",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("bed_id", Id, sa.ForeignKey("beds.id"), nullable=False),
    sa.Column("generation_id", Id, nullable=False),
    sa.Column("sweep_id", Id, sa.ForeignKey("sweeps.id")),
    sa.Column("solver", sa.String(128), nullable=False),
    sa.Column("params", Json, nullable=False),
    sa.Column("over", Json, nullable=False),
    sa.Column("mesh_job_id", Id),
    sa.Column("job_id", Id),
    sa.Column("error", Json),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("ended_at", Timestamp),
    sa.Index("ix_simulations_organization_id", "organization_id", "id"),
    sa.Index("ix_simulations_bed_id", "bed_id", "id"),
    sa.Index("ix_simulations_generation_id", "generation_id"),
    sa.Index("ix_simulations_sweep_id", "sweep_id", "id"),
    sa.Index("ix_simulations_job_id", "job_id"),
    sa.Index("ix_simulations_mesh_job_id", "mesh_job_id"),
    sa.Index(
        "ix_simulations_waiting",
        "generation_id",
        sqlite_where=sa.text("job_id IS NULL AND error IS NULL"),
        postgresql_where=sa.text("job_id IS NULL AND error IS NULL"),
    ),
)
"""Without a ``job_id`` it waits for the particles of its generation or for the mesh of
``mesh_job_id``, or, with an ``error``, has ended without a job at ``ended_at``. ``params`` are the
solver's, ``over`` what a sweep varies."""

bed_meshes = sa.Table(
    "bed_meshes",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("bed_id", Id, sa.ForeignKey("beds.id"), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("job_id", Id, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Index("ix_bed_meshes_organization_id_key", "organization_id", "key"),
    sa.Index("ix_bed_meshes_bed_id", "bed_id"),
    sa.Index("ix_bed_meshes_job_id", "job_id"),
)
"""Meshes that simulations share: the job that makes one, by the hash of all that it depends on. It
goes with its bed, or with another whose simulations have it."""
