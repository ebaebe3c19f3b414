"""Webhooks: an endpoint before it is made, and an event that was received."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import AwareDatetime, JsonValue, ValidationError
from standardwebhooks import Webhook as Signature
from standardwebhooks import WebhookVerificationError as Unverified

from usina_client._delivery import (
    Webhook,
)
from usina_client._error import WebhookVerificationError
from usina_client._model import (
    Answer,
    Job,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPlan:
    """`event_types` are the ends of jobs unless given; `own_secret` counts when it is made."""

    url: str
    event_types: Sequence[str] | None = None
    description: str = ""
    enabled: bool = True
    own_secret: bool = False


def webhook_body(plan: WebhookPlan) -> dict[str, JsonValue]:
    """The plan as JSON, without what counts only once."""
    body: dict[str, JsonValue] = {"url": plan.url, "description": plan.description}
    body["enabled"] = plan.enabled
    if plan.event_types is not None:
        body["event_types"] = list(plan.event_types)
    return body


def webhook_plan_of(webhook: Webhook) -> WebhookPlan:
    """What an endpoint was made from, to be changed and put in its place."""
    return WebhookPlan(
        url=webhook.url,
        event_types=webhook.event_types,
        description=webhook.description,
        enabled=webhook.enabled,
        own_secret=webhook.own_secret,
    )


class WebhookEvent(Answer):
    """What a webhook tells: `data` is the job of a job's event."""

    id: str
    """The same each time it is sent: keep those that you have done."""
    event_id: str | None = None
    """The event's own id, the same on every channel."""
    seq: int | None = None
    """Its number among the events of its job, from 1: what is sent again may come late."""
    type: str
    timestamp: AwareDatetime
    data: dict[str, JsonValue]

    @property
    def job(self) -> Job | None:
        """The job that it tells of, if it does."""
        return Job.model_validate(self.data) if self.type.startswith("job.") else None


def verify_webhook(headers: Mapping[str, str], body: bytes | str, secret: str) -> WebhookEvent:
    """The event, if the platform that holds the secret has signed it in the last five minutes.

    `body` is what was received, to the byte: verify before anything parses it. Raises
    `WebhookVerificationError`.
    """
    try:
        named = {name.lower(): value for name, value in headers.items()}
        told: Any = Signature(secret).verify(body, named)
        own = {
            "id": named["webhook-id"],
            "event_id": named.get("usina-event-id"),
            "seq": named.get("usina-event-seq"),
        }
        return WebhookEvent.model_validate({**told, **own})
    except (Unverified, ValidationError, ValueError, TypeError) as error:
        raise WebhookVerificationError(f"The webhook can not be trusted: {error}.") from error
