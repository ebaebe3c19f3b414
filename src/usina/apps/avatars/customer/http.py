"""The avatar API, with the paths and fields of its origin."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from usina.apps.avatars.customer import erasure
from usina.apps.avatars.customer.customer import Customer, Receipt, Told
from usina.apps.avatars.customer.form import read_photo_form
from usina.apps.avatars.customer.service import Customers
from usina.apps.avatars.customer.status import PhotoDocument, photo_document
from usina.apps.avatars.customer.stream import follow_customer
from usina.http_kit.body import json_body, read_json
from usina.http_kit.call import Call, needs
from usina.http_kit.following import start_of
from usina.http_kit.idempotent import KEY_PARAMETER, once
from usina.http_kit.multipart import MULTIPART
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import Number, Query, parameters, read_query
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.http_kit.sse import COMMENT, EVENT_STREAM, event_stream, frame, last_event_id
from usina.kernel.clock import rfc3339
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Forbidden, NotFound, Unauthorized
from usina.kernel.idempotency.service import Answer
from usina.kernel.jobs.job import Job
from usina.kernel.tenancy.audit import Note, Values
from usina.kernel.tenancy.permission import Permission

router = APIRouter(tags=["avatars"])

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
CustomerId = Annotated[
    str,
    Path(
        description="Your own id of the person: 1 to 128 of `[A-Za-z0-9._-]`.",
        json_schema_extra={"pattern": "^[A-Za-z0-9._-]{1,128}$"},
    ),
]
JobId = Annotated[str, Path(description="The job's id.", json_schema_extra={"format": "uuid"})]
Reading = Annotated[Call, needs(Permission.APPS_READ)]
Writing = Annotated[Call, needs(Permission.APPS_WRITE)]
_FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["photo"],
    "properties": {
        "photo": {"type": "string", "format": "binary"},
        "style": {"type": "string", "description": "A style of the engine."},
        "prompt": {"type": "string", "description": "In words, where the engine takes a prompt."},
        "size": {"type": "integer", "enum": [512, 1024]},
        "seed": {"type": "integer", "minimum": 0},
        "callbackUrl": {"type": "string", "description": "Told of the photo's end."},
    },
}


class StatusQuery(Query):
    waitSeconds: Number = Field(  # noqa: N815  # the name of the origin
        0, ge=0, le=60, description="Answer when the photo is ready, or after so long at most."
    )


class ErasureQuery(PageQuery):
    customer: str | None = Field(None, description="Receipts of this customer's id only.")


class CustomerPlan(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    retentionDays: float | None = Field(  # noqa: N815
        description="How long a photo is kept once it is made; null: as the platform says.",
        gt=0,
        le=36_500,
    )


class CustomerDocument(BaseModel):
    customerId: str  # noqa: N815
    photoCount: int  # noqa: N815
    retentionDays: float | None  # noqa: N815
    createdAt: datetime  # noqa: N815


class ReceiptDocument(BaseModel):
    id: str
    customer_digest: str = Field(description="Stands for the customer's id, which is gone.")
    rows: dict[str, int] = Field(description="How many rows were removed, by table.")
    objects: int = Field(description="How many objects were removed from the store.")
    object_bytes: int
    requested_at: datetime
    finished_at: datetime


_PLAN: Final[TypeAdapter[CustomerPlan]] = TypeAdapter(CustomerPlan)


def _named(customer_id: str) -> str:
    """An id in a path that can be nobody's is not there."""
    if _NAME.fullmatch(customer_id) is None:
        raise NotFound
    return customer_id


@router.post(
    "/customers/{customer_id}",
    summary="Make an avatar of a photo",
    status_code=202,
    response_model=PhotoDocument,
    responses={
        202: {"description": "Accepted.", "headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra={
        "parameters": [KEY_PARAMETER],
        "requestBody": {"required": True, "content": {MULTIPART: {"schema": _FORM}}},
    },
)
async def receive_photo(request: Request, customer_id: CustomerId, call: Writing) -> Response:
    """The customer is made with the first photo. Refused, a photo leaves nothing."""
    name = _named(customer_id)
    with once(request, call) as asked:
        async with call.platform.files.reception(call.organization_id) as reception:
            form = await read_photo_form(request, reception)
            if (replay := await asked.replay(form.fingerprint)) is not None:
                return replay
            answer: Answer | None = None

            def keep(tx: Transaction, job: Job) -> None:
                nonlocal answer
                answer = _accepted(job, name, call)
                asked.record(tx, answer)

            job = await Customers(call.platform, call.caller).receive(
                name, reception, form.params, form.callback_url, keep, _told(call, name)
            )
    return answer_response(answer or _accepted(job, name, call))


@router.get(
    "/customers/{customer_id}/photos/{job_id}/status",
    summary="Get a photo's state, or wait for its end",
    response_model=PhotoDocument,
    responses=problems(401, 403, 404, 422),
    openapi_extra={"parameters": parameters(StatusQuery)},
)
async def get_photo_status(
    request: Request, customer_id: CustomerId, job_id: JobId, call: Reading
) -> Response:
    """PENDING, PROCESSING, DONE or FAILED, with both photos once it is DONE."""
    name, seconds = _named(customer_id), read_query(request, StatusQuery).waitSeconds
    job, _ = await Customers(call.platform, call.caller).photo(name, job_id, seconds)
    return json_response(photo_document(job, name, call.link))


@router.get(
    "/customers/{customer_id}/photos/stream",
    summary="Follow a customer's photos",
    responses={
        200: {
            "description": "`event: photo.status`, the state as data; its id resumes.",
            "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
        },
        **problems(401, 403, 404, 410),
    },
)
async def stream_photos(request: Request, customer_id: CustomerId, call: Reading) -> Response:
    """Begins now, or after `Last-Event-ID`; every change of every photo of the customer."""
    name = _named(customer_id)
    await Customers(call.platform, call.caller).get(name)
    start = await start_of(call, None, last_event_id(request))
    return event_stream(_frames(call, name, start.after))


async def _frames(call: Call, name: str, after: int | None) -> AsyncGenerator[bytes]:
    """Ends with the credential."""
    async with aclosing(follow_customer(call, "sse", name, after)) as changes:
        with suppress(Unauthorized, Forbidden):
            async for told in changes:
                yield COMMENT if told is None else frame("photo.status", told.document, told.id)


@router.get(
    "/customers/{customer_id}/photos",
    summary="List a customer's photos",
    response_model=PageDocument[PhotoDocument],
    responses=problems(401, 403, 404, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_photos(request: Request, customer_id: CustomerId, call: Reading) -> Response:
    """Newest first."""
    name, query = _named(customer_id), read_query(request, PageQuery)
    after = decode_cursor("photos", query.cursor)
    page = await Customers(call.platform, call.caller).photos(name, after, query.limit)
    return json_response(
        answer_page("photos", page, lambda job: photo_document(job, name, call.link))
    )


@router.get(
    "/customers",
    summary="List customers",
    response_model=PageDocument[CustomerDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_customers(request: Request, call: Reading) -> Response:
    """Newest first."""
    query = read_query(request, PageQuery)
    after = decode_cursor("customers", query.cursor)
    page = await Customers(call.platform, call.caller).list(after, query.limit)
    return json_response(answer_page("customers", page, _customer))


@router.get(
    "/customers/{customer_id}",
    summary="Get a customer",
    response_model=CustomerDocument,
    responses=problems(401, 403, 404),
)
async def get_customer(customer_id: CustomerId, call: Reading) -> Response:
    """How many photos it has, and how long they are kept."""
    found = await Customers(call.platform, call.caller).get(_named(customer_id))
    return json_response(_customer(found))


@router.put(
    "/customers/{customer_id}",
    summary="Set how long a customer's photos are kept",
    response_model=CustomerDocument,
    responses=problems(400, 401, 403, 404, 409, 415, 422),
    openapi_extra=json_body(CustomerPlan),
)
async def set_customer(request: Request, customer_id: CustomerId, call: Writing) -> Response:
    """Makes the customer where there is none yet."""
    name = _named(customer_id)
    plan, _ = await read_json(request, _PLAN, call.platform.settings.max_body_bytes)
    kept = await Customers(call.platform, call.caller).keep_for(
        name, plan.retentionDays, _told(call, name)
    )
    return json_response(_customer(kept))


@router.delete(
    "/customers/{customer_id}",
    summary="Erase a customer",
    status_code=204,
    responses={
        204: {"description": "Erased.", "headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(401, 403, 404, 503),
    },
)
async def erase_customer(customer_id: CustomerId, call: Writing) -> Response:
    """Cancels what runs, then removes every byte and row; `Location` is the receipt. Asked again,
    the same."""
    name = _named(customer_id)
    note = _told(call, name)
    begun = note("customer.erased")
    receipt = await erasure.erase(call.platform, call.organization_id, name, begun)
    return Response(status_code=204, headers={"location": f"/api/v1/erasures/{receipt.id}"})


@router.get(
    "/api/v1/erasures",
    summary="List receipts of erasures",
    response_model=PageDocument[ReceiptDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(ErasureQuery)},
)
async def list_erasures(request: Request, call: Reading) -> Response:
    """Newest first; of one customer's id, for who knows it."""
    query = read_query(request, ErasureQuery)
    digest = query.customer and erasure.digest_of(
        call.platform, call.organization_id, query.customer
    )
    after = decode_cursor("erasures", query.cursor)
    page = await erasure.receipts(call.platform, call.organization_id, digest, after, query.limit)
    return json_response(answer_page("erasures", page, _receipt))


@router.get(
    "/api/v1/erasures/{receipt_id}",
    summary="Get the receipt of an erasure",
    response_model=ReceiptDocument,
    responses=problems(401, 403, 404),
)
async def get_erasure(
    receipt_id: Annotated[str, Path(description="The receipt's id.")], call: Reading
) -> Response:
    """What was removed, and when."""
    found = await erasure.receipt_of(call.platform, call.organization_id, receipt_id)
    return json_response(_receipt(found))


def _told(call: Call, name: str) -> Told:
    """What tells the audit log of this customer, by the digest that stands on its receipt."""
    digest = erasure.digest_of(call.platform, call.organization_id, name)

    def note(action: str, before: Values | None = None, after: Values | None = None) -> Note:
        return call.note(action, ("customer", digest), before, after)

    return note


def _accepted(job: Job, name: str, call: Call) -> Answer:
    location = {"location": f"/customers/{name}/photos/{job.id}/status"}
    return json_answer(photo_document(job, name, call.link), 202, location)


def _customer(customer: Customer) -> dict[str, Any]:
    return {
        "customerId": customer.name,
        "photoCount": customer.photo_count,
        "retentionDays": customer.retention_days,
        "createdAt": rfc3339(customer.created_at),
    }


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {
        "id": receipt.id,
        "customer_digest": receipt.customer_digest,
        "rows": dict(receipt.rows),
        "objects": receipt.objects,
        "object_bytes": receipt.object_bytes,
        "requested_at": rfc3339(receipt.requested_at),
        "finished_at": rfc3339(receipt.finished_at),
    }
