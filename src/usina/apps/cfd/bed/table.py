"""The tables of beds. How a generation goes stands with its job, and nowhere else."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Json, Timestamp, metadata

beds = sa.Table(
    "beds",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("plan", Json, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("updated_at", Timestamp, nullable=False),
    sa.Column("deleting_at", Timestamp),
    sa.Index("ix_beds_organization_id", "organization_id", "id"),
    sa.Index(
        "ix_beds_deleting_at",
        "deleting_at",
        sqlite_where=sa.text("deleting_at IS NOT NULL"),
        postgresql_where=sa.text("deleting_at IS NOT NULL"),
    ),
)
"""``plan`` is the JSON of a `BedPlan`. ``deleting_at`` is when a deletion began: from then on
nobody sees the bed, nothing is added, and the row goes last."""

bed_generations = sa.Table(
    "bed_generations",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("bed_id", Id, sa.ForeignKey("beds.id"), nullable=False),
    sa.Column("job_id", Id),
    sa.Column("file_id", Id),
    sa.Column("recipe", sa.String(64)),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("superseded_at", Timestamp),
    sa.Index("ix_bed_generations_bed_id", "bed_id", "id"),
    sa.Index("ix_bed_generations_job_id", "job_id"),
    sa.Index("ix_bed_generations_organization_id_recipe", "organization_id", "recipe"),
    sa.Index(
        "ix_bed_generations_superseded_at",
        "superseded_at",
        sqlite_where=sa.text("superseded_at IS NOT NULL"),
        postgresql_where=sa.text("superseded_at IS NOT NULL"),
    ),
)
"""Where a bed's particles come from, the newest last: a job, which beds of the same ``recipe``
share, or a file that was uploaded. ``superseded_at`` is when a newer one was asked for."""

bed_files = sa.Table(
    "bed_files",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("bed_id", Id, sa.ForeignKey("beds.id"), nullable=False),
    sa.Index("ix_bed_files_bed_id", "bed_id", "id"),
)
"""Uploads that belong to a bed, by the id of the file."""
