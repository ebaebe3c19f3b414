"""Persons, keys, organizations and the audit log, as the platform shows them."""

from pydantic import AwareDatetime, JsonValue

from usina_client._model import Answer


class Tokens(Answer):
    """What a login gives; `expires_in` are the seconds that the access token is good."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class NamedOrganization(Answer):
    id: str
    name: str


class CallingKey(Answer):
    """The key that a client calls with."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    expires_at: AwareDatetime | None = None


class Identity(Answer):
    """Who a client is. A key that is nobody's has no `id` and no `email`."""

    id: str | None = None
    email: str | None = None
    username: str | None = None
    role: str
    organization: NamedOrganization
    permissions: list[str]
    operator: bool
    api_key: CallingKey | None = None


class ApiKey(Answer):
    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_by: str | None = None
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    last_used_at: AwareDatetime | None = None


class NewApiKey(ApiKey):
    """`secret` is the key itself; null where the platform answers a repeat."""

    secret: str | None = None


class Quotas(Answer):
    """Null is no limit of its own."""

    running_jobs: int | None = None
    queued_jobs: int | None = None
    stored_bytes: int | None = None


class Usage(Answer):
    running_jobs: int
    queued_jobs: int
    stored_bytes: int


class Retention(Answer):
    """In days; null is as long as the platform keeps it."""

    jobs_days: float | None = None
    events_days: float | None = None
    files_days: float | None = None
    photos_days: float | None = None


class Organization(Answer):
    id: str
    name: str
    created_at: AwareDatetime
    quotas: Quotas
    usage: Usage
    retention: Retention


class Actor(Answer):
    """`type` is person, key, command or nobody."""

    type: str
    id: str | None = None
    name: str


class Subject(Answer):
    type: str
    id: str | None = None


class AuditEntry(Answer):
    """One change of an organization."""

    id: str
    at: AwareDatetime
    actor: Actor
    action: str
    subject: Subject
    before: dict[str, JsonValue] | None = None
    after: dict[str, JsonValue] | None = None
    ip: str | None = None
    request_id: str | None = None
