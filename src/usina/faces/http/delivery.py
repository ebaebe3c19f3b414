"""Webhook deliveries: what was told, what came of it, and once more."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from usina.http_kit.call import Call, needs
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import Moment, parameters, read_query
from usina.http_kit.reply import json_response
from usina.kernel.clock import rfc3339
from usina.kernel.tenancy.permission import Permission
from usina.kernel.webhooks.delivery import Attempt, Delivery, DeliveryFilter, DeliveryStatus

router = APIRouter(prefix="/api/v1/webhooks/deliveries", tags=["webhooks"])

Reading = Annotated[Call, needs(Permission.WEBHOOKS_READ)]
Writing = Annotated[Call, needs(Permission.WEBHOOKS_WRITE)]

DeliveryId = Annotated[
    str, Path(description="The delivery's id.", json_schema_extra={"format": "uuid"})
]


class DeliveryQuery(PageQuery):
    status: tuple[DeliveryStatus, ...] = Field((), description="May be repeated: any of them.")
    endpoint_id: str | None = Field(None, description="Deliveries to this endpoint.")
    job_id: str | None = Field(None, description="Deliveries that tell of this job.")
    type: str | None = Field(None, description="Deliveries of events of this type.")
    created_after: Moment | None = Field(None, description="RFC 3339, with its offset.")


class AttemptErrorDocument(BaseModel):
    code: str = Field(
        description="`status`, `redirect`, `timeout`, `connection`, `tls`, `protocol`, "
        "`name_unknown`, `address_not_allowed` or `internal`."
    )
    message: str


class AttemptDocument(BaseModel):
    """One attempt; `error` is null where the receiver took it."""

    at: datetime
    duration_seconds: float
    status_code: int | None = Field(description="Null where no whole answer came.")
    error: AttemptErrorDocument | None
    answer: str | None = Field(description="The beginning of what it answered.")


class DeliveryDocument(BaseModel):
    """An event that is told to one address; `id` is the `webhook-id` that the receiver sees."""

    id: str
    endpoint_id: str | None = Field(description="Null: it goes to the job's `callback_url`.")
    job_id: str | None
    type: str
    url: str
    status: DeliveryStatus
    created_at: datetime
    attempt_count: int
    last_attempt: AttemptDocument | None
    next_attempt_at: datetime | None = Field(description="Null when it is not tried again.")


class DeliveryDetailDocument(DeliveryDocument):
    """A delivery with all that is known of it."""

    attempts: list[AttemptDocument] = Field(description="The last 50, oldest first.")
    body: dict[str, Any] = Field(description="What is told; links are signed when it is sent.")


@router.get(
    "",
    summary="List webhook deliveries",
    response_model=PageDocument[DeliveryDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(DeliveryQuery)},
)
async def list_deliveries(request: Request, call: Reading) -> Response:
    """The organization's deliveries, newest first, narrowed by every given filter at once."""
    query = read_query(request, DeliveryQuery)
    wanted = DeliveryFilter(
        query.status, query.endpoint_id, query.job_id, query.type, query.created_after
    )
    after = decode_cursor("deliveries", query.cursor)
    page = await call.platform.webhooks.deliveries(call.organization_id, wanted, after, query.limit)
    return json_response(answer_page("deliveries", page, delivery_document))


@router.get(
    "/{delivery_id}",
    summary="Get a webhook delivery",
    response_model=DeliveryDetailDocument,
    responses=problems(401, 403, 404),
)
async def get_delivery(delivery_id: DeliveryId, call: Reading) -> Response:
    """The delivery with every attempt and its body."""
    found = await call.platform.webhooks.delivery(call.organization_id, delivery_id)
    body = {"type": found.type, "timestamp": rfc3339(found.at), "data": found.data}
    more = {"attempts": [_attempt(each) for each in found.attempts], "body": body}
    return json_response(delivery_document(found) | more)


@router.post(
    "/{delivery_id}/replay",
    summary="Send a webhook delivery again",
    status_code=202,
    response_model=DeliveryDocument,
    responses=problems(401, 403, 404, 409),
)
async def replay_delivery(delivery_id: DeliveryId, call: Writing) -> Response:
    """It is due now, whatever became of it, under the same `webhook-id`."""
    note = call.note("delivery.replayed", ("delivery", delivery_id))
    again = await call.platform.webhooks.replay(call.organization_id, delivery_id, note)
    return json_response(delivery_document(again), 202)


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    last = delivery.attempts[-1] if delivery.attempts else None
    next_at = delivery.next_at
    return {
        "id": delivery.id,
        "endpoint_id": delivery.endpoint_id,
        "job_id": delivery.job_id,
        "type": delivery.type,
        "url": delivery.url,
        "status": delivery.status.value,
        "created_at": rfc3339(delivery.created_at),
        "attempt_count": delivery.attempt_count,
        "last_attempt": None if last is None else _attempt(last),
        "next_attempt_at": None if next_at is None else rfc3339(next_at),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    failed = {"code": attempt.error, "message": attempt.message}
    return {
        "at": rfc3339(attempt.at),
        "duration_seconds": attempt.duration_seconds,
        "status_code": attempt.status_code,
        "error": None if attempt.error is None else failed,
        "answer": attempt.answer,
    }
