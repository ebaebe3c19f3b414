"""Organizations, their members, keys, sessions and invitations."""

import sqlalchemy as sa

from usina.kernel.db.schema import Id, Json, Timestamp, metadata

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("quota_running_jobs", sa.BigInteger),
    sa.Column("quota_queued_jobs", sa.BigInteger),
    sa.Column("quota_stored_bytes", sa.BigInteger),
    sa.Column("retention_jobs_days", sa.Double),
    sa.Column("retention_events_days", sa.Double),
    sa.Column("retention_files_days", sa.Double),
    sa.Column("retention_photos_days", sa.Double),
    sa.UniqueConstraint("name"),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("username", sa.String(320), nullable=False),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.UniqueConstraint("username"),
)
"""``username`` is an address for whoever registered, and always in lower case."""

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("created_at", Timestamp),
    sa.Index("ix_memberships_user_id", "user_id"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("user_id", Id, sa.ForeignKey("users.id")),
    sa.Column("role", sa.String(16)),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("prefix", sa.String(16), nullable=False),
    sa.Column("secret_sha256", sa.String(64), nullable=False),
    sa.Column("scopes", Json, nullable=False),
    sa.Column("expires_at", Timestamp),
    sa.Column("last_used_at", Timestamp),
    sa.Column("revoked_at", Timestamp),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.UniqueConstraint("secret_sha256"),
    sa.Index("ix_api_keys_organization_id", "organization_id", "id"),
)
"""A person's key has a ``user_id`` and that member's role; another one has a role of its own."""

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("user_id", Id, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("refreshed_at", Timestamp, nullable=False),
    sa.Column("expires_at", Timestamp, nullable=False),
    sa.Column("revoked_at", Timestamp),
    sa.Column("ip", sa.String(64)),
    sa.Index("ix_sessions_user_id", "user_id"),
    sa.Index("ix_sessions_expires_at", "expires_at"),
)
"""One login and all that was refreshed from it; ``generation`` numbers its refresh tokens,
``ip`` is where the login came from."""

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("email", sa.String(320)),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("token_sha256", sa.String(64), nullable=False),
    sa.Column("invited_by", sa.String(320), nullable=False),
    sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("expires_at", Timestamp, nullable=False),
    sa.Column("accepted_at", Timestamp),
    sa.Column("accepted_by", Id, sa.ForeignKey("users.id")),
    sa.Column("revoked_at", Timestamp),
    sa.UniqueConstraint("token_sha256"),
    sa.Index("ix_invitations_organization_id", "organization_id", "id"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("organization_id", Id, sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("at", Timestamp, nullable=False),
    sa.Column("actor", sa.String(16), nullable=False),
    sa.Column("user_id", Id),
    sa.Column("key_id", Id),
    sa.Column("actor_name", sa.String(320), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject_type", sa.String(32), nullable=False),
    sa.Column("subject_id", sa.String(320)),
    sa.Column("before", Json),
    sa.Column("after", Json),
    sa.Column("ip", sa.String(64)),
    sa.Column("request_id", sa.String(128)),
    sa.Index("ix_audit_organization_id", "organization_id", "id"),
)
"""What was changed, by whom; written in the transaction of the change and never changed itself."""
