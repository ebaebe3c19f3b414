"""Webhook endpoints and their deliveries, as the platform shows them."""

from typing import Literal, TypeAlias

from pydantic import AwareDatetime, Field, JsonValue

from usina_client._model import Answer

DeliveryStatus: TypeAlias = Literal["pending", "delivered", "failed"]


class Webhook(Answer):
    """An endpoint; `failing_since` is its first failure after it last took something."""

    id: str
    url: str
    event_types: list[str]
    description: str = ""
    enabled: bool
    own_secret: bool = False
    created_at: AwareDatetime
    failing_since: AwareDatetime | None = None
    disabled_at: AwareDatetime | None = None
    disabled_reason: str | None = None


class WebhookSecret(Answer):
    """`previous_valid_until` is null once only the newest secret signs."""

    secret: str
    previous_valid_until: AwareDatetime | None = None


class DeliveryError(Answer):
    code: str
    message: str


class DeliveryAttempt(Answer):
    """`error` is null where the receiver took it."""

    at: AwareDatetime
    duration_seconds: float
    status_code: int | None = None
    error: DeliveryError | None = None
    answer: str | None = None


class Delivery(Answer):
    """An event that is told to one address; without `endpoint_id` it is a job's callback."""

    id: str
    endpoint_id: str | None = None
    job_id: str | None = None
    type: str
    url: str
    status: DeliveryStatus
    created_at: AwareDatetime
    attempt_count: int
    last_attempt: DeliveryAttempt | None = None
    next_attempt_at: AwareDatetime | None = None


class DeliveryDetail(Delivery):
    attempts: list[DeliveryAttempt] = Field(default_factory=list[DeliveryAttempt])
    body: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
