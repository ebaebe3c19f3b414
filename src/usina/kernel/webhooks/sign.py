"""Signed requests, as Standard Webhooks 1.0 has them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from standardwebhooks import Webhook


def headers_of(
    message_id: str, moment: datetime, body: bytes, secrets: Sequence[str]
) -> Mapping[str, str]:
    """What goes with the body, with one signature per secret."""
    text = body.decode()
    signatures = (Webhook(secret).sign(message_id, moment, text) for secret in secrets)
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
