"""Identity: sessions, invitations, the audit log; keys of persons; quotas and retention of an
organization, and what its bytes are summed by."""

import sqlalchemy as sa
from alembic import op

from usina.kernel.db.schema import Id, Json, Timestamp

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("quota_running_jobs", "quota_queued_jobs", "quota_stored_bytes"):
        op.add_column("organizations", sa.Column(name, sa.BigInteger(), nullable=True))
    for name in ("retention_jobs_days", "retention_events_days", "retention_files_days"):
        op.add_column("organizations", sa.Column(name, sa.Double(), nullable=True))
    op.add_column("memberships", sa.Column("created_at", Timestamp(), nullable=True))
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"], unique=False)
    op.execute("UPDATE users SET username = lower(username)")
    for table in ("files", "artifacts"):
        name = f"ix_{table}_organization_id_size_bytes"
        op.create_index(name, table, ["organization_id", "size_bytes"], unique=False)
    _keys()
    _sessions()
    _invitations()
    _audit()


def _keys() -> None:
    """Until now every key might everything, and none was a person's."""
    with op.batch_alter_table("api_keys") as batch:
        batch.add_column(sa.Column("user_id", Id, nullable=True))
        batch.add_column(sa.Column("role", sa.String(length=16), nullable=True))
        batch.create_foreign_key(op.f("fk_api_keys_user_id"), "users", ["user_id"], ["id"])
        batch.drop_index("ix_api_keys_organization_id")
        batch.create_index("ix_api_keys_organization_id", ["organization_id", "id"], unique=False)
    keys = sa.table("api_keys", sa.column("role"), sa.column("scopes", Json))
    op.execute(sa.update(keys).values(role="owner", scopes=["all"]))


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("refreshed_at", Timestamp(), nullable=False),
        sa.Column("expires_at", Timestamp(), nullable=False),
        sa.Column("revoked_at", Timestamp(), nullable=True),
        _organization("sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)


def _invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("invited_by", sa.String(length=320), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("expires_at", Timestamp(), nullable=False),
        sa.Column("accepted_at", Timestamp(), nullable=True),
        sa.Column("accepted_by", Id, nullable=True),
        sa.Column("revoked_at", Timestamp(), nullable=True),
        _organization("invitations"),
        sa.ForeignKeyConstraint(
            ["accepted_by"], ["users.id"], name=op.f("fk_invitations_accepted_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_invitations_token_sha256")),
    )
    op.create_index(
        "ix_invitations_organization_id", "invitations", ["organization_id", "id"], unique=False
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", Id, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("at", Timestamp(), nullable=False),
        sa.Column("actor", sa.String(length=16), nullable=False),
        sa.Column("user_id", Id, nullable=True),
        sa.Column("key_id", Id, nullable=True),
        sa.Column("actor_name", sa.String(length=320), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject_type", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=320), nullable=True),
        sa.Column("before", Json, nullable=True),
        sa.Column("after", Json, nullable=True),
        sa.Column("ip", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        _organization("audit"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_organization_id", "audit", ["organization_id", "id"], unique=False)


def _organization(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_organization_id")
    return sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=name)
