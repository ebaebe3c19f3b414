"""`ProfilePhotoJobGrpc`: the photos of customers over gRPC, with the names of their origin."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from google.protobuf.json_format import ParseDict

from usina.apps.avatars.customer.proto.usina.avatars.v1 import profile_photo_job_pb2 as pb
from usina.apps.avatars.customer.service import Customers
from usina.apps.avatars.customer.status import photo_document
from usina.apps.avatars.customer.stream import follow_customer
from usina.grpc_kit.call import Rpc
from usina.grpc_kit.service import Sent, Service, Stream, Unary
from usina.kernel.errors import Invalid, Unavailable
from usina.kernel.tenancy.permission import Permission

_MOST_SECONDS: Final = 60
_NAMES: Final = {
    "job_id": "jobId",
    "customer_id": "customerId",
    "original_photo_url": "originalPhotoUrl",
    "generated_photo_url": "generatedPhotoUrl",
    "error": "error",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
}
_STATES: Final = {"PENDING": "STATUS_PENDING"}


async def get_status(request: pb.JobStatusRequest, rpc: Rpc) -> Sent:
    seconds = request.wait_seconds
    if not 0 <= seconds <= _MOST_SECONDS:
        raise Invalid.at(
            "/wait_seconds", f"wait_seconds is {seconds}; it goes from 0 to {_MOST_SECONDS}."
        )
    job, name = await Customers(rpc.platform, rpc.caller).photo(None, request.job_id, seconds)
    return _message(photo_document(job, name, rpc.link))


async def stream_status(request: pb.StatusStreamRequest, rpc: Rpc) -> AsyncGenerator[Sent]:
    name, job_id = request.customer_id, request.job_id or None
    if not name:
        raise Invalid.at("/customer_id", "Name the customer whose photos are followed.")
    customers = Customers(rpc.platform, rpc.caller)
    await customers.get(name)
    present: dict[str, Any] | None = None
    after: int | None = None
    if job_id is not None:
        after = await rpc.platform.events.position(rpc.organization_id)
        job, _ = await customers.photo(name, job_id)
        present = photo_document(job, name, rpc.link)
    return _changes(rpc, name, job_id, after, present)


async def _changes(
    rpc: Rpc, name: str, job_id: str | None, after: int | None, present: dict[str, Any] | None
) -> AsyncGenerator[Sent]:
    """The present state first, where a job is named; its last one ends the stream."""
    if present is not None:
        yield _message(present)
        if present["status"] in {"DONE", "FAILED"}:
            return
    async with aclosing(follow_customer(rpc, "grpc", name, after, job_id)) as changes:
        async for told in changes:
            if told is None or told.document == present:
                continue
            yield _message(told.document)
            if job_id is not None and told.terminal:
                return
    if rpc.platform.bus.closing:
        raise Unavailable("The platform leaves; ask again.", code="leaving")


def _message(document: dict[str, Any]) -> pb.JobStatusResponse:
    told = {name: document[key] for name, key in _NAMES.items() if document[key] is not None}
    told["status"] = _STATES.get(document["status"], document["status"])
    return ParseDict(told, pb.JobStatusResponse())


SERVICE: Final = Service(
    pb.DESCRIPTOR.services_by_name["ProfilePhotoJobGrpc"],
    {
        "GetStatus": Unary(pb.JobStatusRequest, Permission.APPS_READ, get_status),
        "StreamStatus": Stream(pb.StatusStreamRequest, Permission.APPS_READ, stream_status),
    },
)
