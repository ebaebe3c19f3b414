"""The tables of jobs. A running job is a lease on its row; a lane is where a claim looks first."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Json, Timestamp, metadata

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("model", sa.String(128), nullable=False),
    sa.Column("model_version", sa.String(64), nullable=False),
    sa.Column("queue", sa.String(64), nullable=False),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("memory_bytes", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("gpus", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("gpu_memory_bytes", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("stage", sa.String(200)),
    sa.Column("params", Json, nullable=False),
    sa.Column("inputs", Json, nullable=False),
    sa.Column("labels", Json, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("lost", sa.Integer, nullable=False),
    sa.Column("timeout_seconds", sa.Float, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("available_at", Timestamp),
    sa.Column("started_at", Timestamp),
    sa.Column("finished_at", Timestamp),
    sa.Column("cancel_requested_at", Timestamp),
    sa.Column("error", Json),
    sa.Column("peak_memory_bytes", sa.BigInteger),
    sa.Column("peak_gpu_memory_bytes", sa.BigInteger),
    sa.Column("sandbox", Json),
    sa.Column("last_seq", sa.Integer, nullable=False),
    sa.Column("worker_id", Id),
    sa.Column("lease_token", Id),
    sa.Column("lease_expires_at", Timestamp),
    sa.Column("strict", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("gates", Json),
    sa.Column("metrics", Json),
    sa.Column("callback_url", sa.Text),
    sa.Column("reuse", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("recipe", sa.String(64)),
    sa.Column("reused_from", Id),
)
"""``recipe`` says what a deterministic success follows from; ``reused_from`` is the job that its
artifacts were taken from, which may be gone."""

QUEUED = jobs.c.status == sa.literal_column("'QUEUED'")
RUNNING = jobs.c.status == sa.literal_column("'RUNNING'")
READY = sa.and_(QUEUED, jobs.c.available_at.is_(None))
DELAYED = sa.and_(QUEUED, jobs.c.available_at.is_not(None))
RECIPE_KNOWN = jobs.c.recipe.is_not(None)
REUSING = sa.and_(QUEUED, jobs.c.reuse)
"""Literal, not bound: only then does SQLite see that a partial index holds what is asked for."""


def _partial(name: str, *columns: sa.ColumnElement[object], where: sa.ColumnElement[bool]) -> None:
    sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


_partial(
    "ix_jobs_ready",
    jobs.c.queue,
    jobs.c.organization_id,
    jobs.c.priority.desc(),
    jobs.c.id,
    jobs.c.memory_bytes,
    jobs.c.gpus,
    jobs.c.gpu_memory_bytes,
    where=READY,
)
_partial(
    "ix_jobs_ready_model",
    jobs.c.queue,
    jobs.c.organization_id,
    jobs.c.model,
    jobs.c.priority.desc(),
    jobs.c.id,
    jobs.c.memory_bytes,
    jobs.c.gpus,
    jobs.c.gpu_memory_bytes,
    where=READY,
)
_partial("ix_jobs_waiting", jobs.c.created_at, jobs.c.queue, where=READY)
_partial("ix_jobs_delayed", jobs.c.available_at, where=DELAYED)
_partial("ix_jobs_lease", jobs.c.lease_expires_at, where=RUNNING)
sa.Index("ix_jobs_organization_id", jobs.c.organization_id, jobs.c.id)
sa.Index("ix_jobs_organization_id_status", jobs.c.organization_id, jobs.c.status, jobs.c.id)
sa.Index("ix_jobs_organization_id_model", jobs.c.organization_id, jobs.c.model, jobs.c.id)
_partial("ix_jobs_reusing", jobs.c.id, where=REUSING)
_partial("ix_jobs_recipe", jobs.c.organization_id, jobs.c.recipe, where=RECIPE_KNOWN)
_partial("ix_jobs_finished_at", jobs.c.finished_at, where=jobs.c.finished_at.is_not(None))

job_inputs = sa.Table(
    "job_inputs",
    metadata,
    sa.Column("job_id", Id, sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("source", sa.String(8), nullable=False),
    sa.Column("source_id", Id, nullable=False),
    sa.Index("ix_job_inputs_source_id", "source_id"),
)
"""What a job reads: ``source`` is ``file`` or ``artifact``."""

job_labels = sa.Table(
    "job_labels",
    metadata,
    sa.Column("job_id", Id, sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.String(256), nullable=False),
    sa.Column("organization_id", Id, nullable=False),
    sa.Index(
        "ix_job_labels_organization_id_key_value", "organization_id", "key", "value", "job_id"
    ),
)

job_logs = sa.Table(
    "job_logs",
    metadata,
    sa.Column("job_id", Id, sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("start_byte", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
"""The output of a running attempt; its rows go when the log artifact comes."""

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("job_id", Id, sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("id", Id, nullable=False),
    sa.Column("organization_id", Id, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("missing_at", Timestamp),
    sa.Index("uq_checkpoints_id", "id", unique=True),
)
"""What the newest attempt saved for the next one."""

lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("queue", sa.String(64), primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), primary_key=True),
    sa.Column("served_at", Timestamp, nullable=False),
    sa.Column("has_work", sa.Boolean, nullable=False),
    sa.Column("ready", sa.Integer, nullable=False),
    sa.Column("delayed", sa.Integer, nullable=False),
)
"""``ready`` and ``delayed`` count queued jobs; ``has_work`` is whether any is ready: a column apart
from the counts, which change often, so that counting touches no index."""

_partial(
    "ix_lanes_turn",
    lanes.c.queue,
    lanes.c.served_at,
    lanes.c.organization_id,
    where=lanes.c.has_work,
)

queues = sa.Table(
    "queues",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("started_at", Timestamp, nullable=False),
    sa.Column("seen_at", Timestamp, nullable=False),
    sa.Column("sandbox", Json),
    sa.Column("holds_session", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("models", Json),
    sa.Column("queues", Json),
    sa.Column("warm", Json),
    sa.Column("draining", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("memory_bytes", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("gpus", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("gpu_memory_bytes", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("cards", Json),
    sa.Column("programs", Json),
)

programs = sa.Table(
    "programs",
    metadata,
    sa.Column("model", sa.String(128), primary_key=True),
    sa.Column("identity", sa.String(64), nullable=False),
    sa.Column("told_at", Timestamp, nullable=False),
)
"""What a worker said last of the program of each deterministic model, for when none lives that can
run it; empty where it could not tell. Those that live say it in ``workers.programs``."""

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("cron", sa.String(200)),
    sa.Column("every_seconds", sa.Integer),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("job", Json, nullable=False),
    sa.Column("catch_up", sa.String(8), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("next_at", Timestamp),
    sa.Column("last_job_id", Id),
    sa.Column("last_error", sa.Text),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Index("ix_schedules_next_at", "next_at"),
    sa.Index("ix_schedules_organization_id", "organization_id", "id"),
)
