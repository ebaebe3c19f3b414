# Generated from ../_async/webhook.py by generate_sync.py: change that file instead.
"""Webhook endpoints, their secrets and their deliveries."""

from collections.abc import Sequence
from datetime import datetime

from usina_client._delivery import (
    Delivery,
    DeliveryDetail,
    DeliveryStatus,
    Webhook,
    WebhookSecret,
)
from usina_client._model import (
    Page,
)
from usina_client._request import API, Request, get, idempotent, path_to, post, query_of
from usina_client._webhook import WebhookPlan, webhook_body

from .connection import Connection
from .pager import Pager


class Webhooks:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, *, limit: int | None = None) -> Pager[Webhook]:
        """The organization's endpoints, newest first; `limit` is the size of a page."""
        query = query_of(limit=limit)
        return Pager(self._connection, f"{API}/webhooks", query, Page[Webhook])

    def get(self, webhook_id: str) -> Webhook:
        return self._connection.fetch(get(path_to("webhooks", webhook_id)), Webhook)

    def create(self, plan: WebhookPlan, *, idempotency_key: str | None = None) -> Webhook:
        """It is told of what happens from now on."""
        request = Request(
            method="POST",
            path=f"{API}/webhooks",
            json=webhook_body(plan) | {"own_secret": plan.own_secret},
            headers=idempotent(idempotency_key),
            repeatable=True,
        )
        return self._connection.fetch(request, Webhook)

    def replace(self, webhook_id: str, plan: WebhookPlan) -> Webhook:
        """The plan in place of the whole one before."""
        path = path_to("webhooks", webhook_id)
        request = Request(method="PUT", path=path, json=webhook_body(plan), repeatable=True)
        return self._connection.fetch(request, Webhook)

    def delete(self, webhook_id: str) -> None:
        """It is told nothing more; its deliveries stay to be looked at."""
        self._connection.send(Request(method="DELETE", path=path_to("webhooks", webhook_id)))

    def test(self, webhook_id: str, *, idempotency_key: str | None = None) -> Delivery:
        """Have an event `webhook.test` sent, once."""
        request = Request(
            method="POST",
            path=path_to("webhooks", webhook_id, "test"),
            headers=idempotent(idempotency_key),
            repeatable=True,
        )
        return self._connection.fetch(request, Delivery)

    def secret(self, webhook_id: str | None = None) -> WebhookSecret:
        """What deliveries are signed with: the organization's, or those of an endpoint."""
        path = f"{API}/webhooks/secret"
        if webhook_id is not None:
            path = path_to("webhooks", webhook_id, "secret")
        return self._connection.fetch(get(path), WebhookSecret)

    def rotate_secret(self, webhook_id: str | None = None) -> WebhookSecret:
        """A new secret; the one before signs beside it for a day."""
        path = f"{API}/webhooks/secret/rotate"
        if webhook_id is not None:
            path = path_to("webhooks", webhook_id, "secret", "rotate")
        return self._connection.fetch(Request(method="POST", path=path), WebhookSecret)

    def deliveries(
        self,
        *,
        status: DeliveryStatus | Sequence[DeliveryStatus] | None = None,
        webhook_id: str | None = None,
        job_id: str | None = None,
        type: str | None = None,  # noqa: A002  # the filter's name
        created_after: datetime | None = None,
        limit: int | None = None,
    ) -> Pager[Delivery]:
        """What was told, newest first, narrowed by every given filter at once."""
        query = query_of(
            status=status,
            endpoint_id=webhook_id,
            job_id=job_id,
            type=type,
            created_after=created_after,
            limit=limit,
        )
        path = f"{API}/webhooks/deliveries"
        return Pager(self._connection, path, query, Page[Delivery])

    def delivery(self, delivery_id: str) -> DeliveryDetail:
        """One with every attempt and its body."""
        path = path_to("webhooks/deliveries", delivery_id)
        return self._connection.fetch(get(path), DeliveryDetail)

    def replay(self, delivery_id: str) -> Delivery:
        """Have it sent again, whatever became of it, under the same id."""
        path = path_to("webhooks/deliveries", delivery_id, "replay")
        return self._connection.fetch(post(path), Delivery)
