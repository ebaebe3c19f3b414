"""Webhook endpoints and their secrets: who is told of what, and signed how."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from usina.faces.http.delivery import DeliveryDocument, delivery_document
from usina.http_kit.body import read_json
from usina.http_kit.call import Call, needs
from usina.http_kit.idempotent import KEY_PARAMETER, fingerprint, once
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.clock import rfc3339
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.idempotency.service import Answer
from usina.kernel.tenancy.permission import Permission
from usina.kernel.webhooks.delivery import Delivery
from usina.kernel.webhooks.endpoint import USUAL_TYPES, Endpoint, EndpointPlan
from usina.kernel.webhooks.secret import Secret

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])

Reading = Annotated[Call, needs(Permission.WEBHOOKS_READ)]
Writing = Annotated[Call, needs(Permission.WEBHOOKS_WRITE)]
"""Whoever has a secret can speak in the platform's name, so looking at one is writing."""

EndpointId = Annotated[
    str, Path(description="The endpoint's id.", json_schema_extra={"format": "uuid"})
]
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WebhookPlan"}}},
}
_CHANGE: Final[dict[str, Any]] = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WebhookChange"}}},
}


class WebhookChange(BaseModel):
    """An endpoint as it is to be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(description="Where events are sent: http or https.")
    event_types: list[str] = Field(
        list(USUAL_TYPES), description="Of which events it is told; the ends of jobs unless given."
    )
    description: str = Field("", json_schema_extra={"maxLength": 200})
    enabled: bool = True

    def plan(self) -> EndpointPlan:
        """The same for the kernel."""
        return EndpointPlan(self.url, tuple(self.event_types), self.description, self.enabled)


class WebhookPlan(WebhookChange):
    """An endpoint to be."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "example": {
                "url": "https://hooks.example.org/usina",
                "event_types": ["job.succeeded", "job.failed"],
                "description": "the shop's order system",
            }
        },
    )

    own_secret: bool = Field(
        False, description="Sign with a secret of its own instead of the organization's."
    )


PLAN: TypeAdapter[WebhookPlan] = TypeAdapter(WebhookPlan)
CHANGE: TypeAdapter[WebhookChange] = TypeAdapter(WebhookChange)


class WebhookDocument(BaseModel):
    """An endpoint now."""

    id: str
    url: str
    event_types: list[str]
    description: str
    enabled: bool
    own_secret: bool
    created_at: datetime
    failing_since: datetime | None = Field(
        description="Its first failure since it last took something; null when it did so last."
    )
    disabled_at: datetime | None
    disabled_reason: Literal["gone", "failing"] | None = Field(
        description="Why the platform disabled it; null when nobody or its owner did."
    )


class SecretDocument(BaseModel):
    secret: str = Field(description="`whsec_` and base64, as Standard Webhooks has it.")
    previous_valid_until: datetime | None = Field(
        description="Until then deliveries are signed with the secret before, too."
    )


@router.get(
    "",
    summary="List webhook endpoints",
    response_model=PageDocument[WebhookDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_webhooks(request: Request, call: Reading) -> Response:
    """The organization's endpoints, newest first."""
    query = read_query(request, PageQuery)
    after = decode_cursor("webhooks", query.cursor)
    page = await call.platform.webhooks.list(call.organization_id, after, query.limit)
    return json_response(answer_page("webhooks", page, _document))


@router.post(
    "",
    summary="Make a webhook endpoint",
    status_code=201,
    response_model=WebhookDocument,
    responses={
        201: {"headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(400, 401, 403, 409, 413, 415, 422),
    },
    openapi_extra={"parameters": [KEY_PARAMETER], "requestBody": _BODY},
)
async def create_webhook(request: Request, call: Writing) -> Response:
    """From now on it is told of every event of these types."""
    with once(request, call) as asked:
        wanted, body = await read_json(request, PLAN, call.platform.settings.max_body_bytes)
        if (replay := await asked.replay(fingerprint(body))) is not None:
            return replay

        def keep(tx: Transaction, new: Endpoint) -> None:
            asked.record(tx, _created(new))
            call.note("webhook.created", ("webhook", new.id), after=_told(new.plan.url))(tx)

        new = await call.platform.webhooks.create(
            call.organization_id, wanted.plan(), own_secret=wanted.own_secret, also=keep
        )
        return answer_response(_created(new))


@router.get(
    "/secret",
    summary="Get the organization's webhook secret",
    response_model=SecretDocument,
    responses=problems(401, 403),
)
async def get_secret(call: Writing) -> Response:
    """What callbacks are signed with, and endpoints without a secret of their own."""
    return _secret(await call.platform.webhooks.secret(call.organization_id))


@router.post(
    "/secret/rotate",
    summary="Rotate the organization's webhook secret",
    response_model=SecretDocument,
    responses=problems(401, 403),
)
async def rotate_secret(call: Writing) -> Response:
    """A new secret; for a day deliveries carry a signature of each."""
    note = call.note("webhook.secret_rotated", ("webhook", None))
    return _secret(await call.platform.webhooks.rotate(call.organization_id, note=note))


@router.get(
    "/{endpoint_id}",
    summary="Get a webhook endpoint",
    response_model=WebhookDocument,
    responses=problems(401, 403, 404),
)
async def get_webhook(endpoint_id: EndpointId, call: Reading) -> Response:
    """The endpoint, and whether it fails."""
    return _shown(await call.platform.webhooks.get(call.organization_id, endpoint_id))


@router.put(
    "/{endpoint_id}",
    summary="Replace a webhook endpoint",
    response_model=WebhookDocument,
    responses=problems(400, 401, 403, 404, 413, 415, 422),
    openapi_extra={"requestBody": _CHANGE},
)
async def replace_webhook(request: Request, endpoint_id: EndpointId, call: Writing) -> Response:
    """The body replaces the whole of it: what is left out has its default again."""
    wanted, _ = await read_json(request, CHANGE, call.platform.settings.max_body_bytes)
    webhooks = call.platform.webhooks
    note = call.note("webhook.replaced", ("webhook", endpoint_id), after=_told(wanted.url))
    return _shown(await webhooks.replace(call.organization_id, endpoint_id, wanted.plan(), note))


@router.delete(
    "/{endpoint_id}",
    summary="Delete a webhook endpoint",
    status_code=204,
    responses=problems(401, 403, 404),
)
async def delete_webhook(endpoint_id: EndpointId, call: Writing) -> Response:
    """It is told nothing more; its deliveries stay to be looked at."""
    note = call.note("webhook.deleted", ("webhook", endpoint_id))
    await call.platform.webhooks.delete(call.organization_id, endpoint_id, note)
    return Response(status_code=204)


@router.post(
    "/{endpoint_id}/test",
    summary="Send a test event",
    status_code=202,
    response_model=DeliveryDocument,
    responses=problems(400, 401, 403, 404, 409),
    openapi_extra={"parameters": [KEY_PARAMETER]},
)
async def test_webhook(request: Request, endpoint_id: EndpointId, call: Writing) -> Response:
    """One event `webhook.test`, sent once, also to an endpoint that is disabled."""
    with once(request, call) as asked:
        if (replay := await asked.replay(fingerprint(b""))) is not None:
            return replay

        def keep(tx: Transaction, made: Delivery) -> None:
            call.note("webhook.tested", ("webhook", endpoint_id))(tx)
            asked.record(tx, _sent(made))

        made = await call.platform.webhooks.test(call.organization_id, endpoint_id, keep)
        return answer_response(_sent(made))


@router.get(
    "/{endpoint_id}/secret",
    summary="Get an endpoint's secret",
    response_model=SecretDocument,
    responses=problems(401, 403, 404),
)
async def get_webhook_secret(endpoint_id: EndpointId, call: Writing) -> Response:
    """What its deliveries are signed with: its own secret, else the organization's."""
    return _secret(await call.platform.webhooks.secret(call.organization_id, endpoint_id))


@router.post(
    "/{endpoint_id}/secret/rotate",
    summary="Rotate an endpoint's secret",
    response_model=SecretDocument,
    responses=problems(401, 403, 404),
)
async def rotate_webhook_secret(endpoint_id: EndpointId, call: Writing) -> Response:
    """A new secret of its own; the one that it had signs beside it for a day."""
    note = call.note("webhook.secret_rotated", ("webhook", endpoint_id))
    return _secret(await call.platform.webhooks.rotate(call.organization_id, endpoint_id, note))


def _told(url: str) -> dict[str, str | None]:
    """What the audit log has of an address: the rest of it may be a secret."""
    return {"host": urlsplit(url).hostname}


def _created(new: Endpoint) -> Answer:
    return json_answer(_document(new), 201, {"location": f"/api/v1/webhooks/{new.id}"})


def _sent(made: Delivery) -> Answer:
    return json_answer(delivery_document(made), 202)


def _shown(endpoint: Endpoint) -> Response:
    return json_response(_document(endpoint))


def _secret(secret: Secret) -> Response:
    until = secret.previous_until
    document = {
        "secret": secret.text,
        "previous_valid_until": None if until is None else rfc3339(until),
    }
    return json_response(document, headers={"cache-control": "no-store"})


def _document(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.plan.url,
        "event_types": list(endpoint.plan.event_types),
        "description": endpoint.plan.description,
        "enabled": endpoint.plan.enabled,
        "own_secret": endpoint.own_secret,
        "created_at": rfc3339(endpoint.created_at),
        "failing_since": _moment(endpoint.failing_since),
        "disabled_at": _moment(endpoint.disabled_at),
        "disabled_reason": endpoint.disabled_reason,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
