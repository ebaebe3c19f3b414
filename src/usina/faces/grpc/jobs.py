"""``usina.v1.Jobs``: submit, get or wait, watch, cancel."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from weakref import WeakKeyDictionary

from usina.faces.grpc.message import event_message, job_message, job_request
from usina.faces.grpc.proto.usina.v1 import jobs_pb2 as pb
from usina.grpc_kit.call import Rpc
from usina.grpc_kit.service import Sent, Service, Stream, Unary
from usina.http_kit.following import Start, following, start_of
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Invalid, Unavailable
from usina.kernel.events.event import Event, Hint
from usina.kernel.idempotency.service import Answer
from usina.kernel.jobs.job import Job
from usina.kernel.tenancy.permission import Permission

_made: WeakKeyDictionary[Event | Hint, bytes] = WeakKeyDictionary()
_MOST_SECONDS: Final = 60
_SUBMIT: Final = "grpc usina.v1.Jobs/Submit"
_MESSAGE: Final = {"content-type": "application/protobuf"}


async def submit(request: pb.SubmitRequest, rpc: Rpc) -> Sent:
    wanted, jobs = job_request(request), rpc.platform.jobs
    key = rpc.metadata.get("idempotency-key")
    if key is None:
        [job] = await jobs.submit(rpc.caller, [wanted])
        return job_message(job, rpc.link)
    idempotency = rpc.platform.idempotency
    with idempotency.claim(rpc.organization_id, _SUBMIT, key) as claim:
        body = request.SerializeToString(deterministic=True)
        fingerprint = hashlib.sha256(body).hexdigest()
        if (known := await idempotency.recall(claim, fingerprint)) is not None:
            return known.body

        def keep(tx: Transaction, made: list[Job]) -> None:
            answer = job_message(made[0], rpc.link).SerializeToString()
            idempotency.record(tx, claim, fingerprint, Answer(200, _MESSAGE, answer))

        [job] = await jobs.submit(rpc.caller, [wanted], keep)
        return job_message(job, rpc.link)


async def get(request: pb.GetRequest, rpc: Rpc) -> Sent:
    seconds, jobs = request.wait_seconds, rpc.platform.jobs
    if not 0 <= seconds <= _MOST_SECONDS:
        raise Invalid.at(
            "/wait_seconds", f"wait_seconds is {seconds:g}; it goes from 0 to {_MOST_SECONDS}."
        )
    job = await (
        jobs.wait(rpc.organization_id, request.job_id, seconds)
        if seconds
        else jobs.get(rpc.organization_id, request.job_id)
    )
    return job_message(job, rpc.link)


async def watch(request: pb.WatchRequest, rpc: Rpc) -> AsyncGenerator[Sent]:
    job_id = request.job_id or None
    return _events(job_id, await start_of(rpc, job_id, request.cursor or None), rpc)


async def _events(job_id: str | None, start: Start, rpc: Rpc) -> AsyncGenerator[Sent]:
    if start.over:
        return
    async with aclosing(following(rpc, "grpc", job_id, start.after)) as items:
        async for item in items:
            if item is not None:
                yield _message(item, start.epoch, rpc)
    if rpc.platform.bus.closing:
        raise Unavailable("The platform leaves; go on after the last event.", code="leaving")


def _message(item: Event | Hint, epoch: str, rpc: Rpc) -> bytes:
    """Made once for all who are told of the same event here."""
    made = _made.get(item)
    if made is None:
        made = _made[item] = event_message(item, epoch, rpc.link).SerializeToString()
    return made


async def cancel(request: pb.CancelRequest, rpc: Rpc) -> Sent:
    note = rpc.note("job.cancelled", ("job", request.job_id))
    _, job = await rpc.platform.jobs.cancel(rpc.organization_id, request.job_id, note)
    return job_message(job, rpc.link)


JOBS: Final = Service(
    pb.DESCRIPTOR.services_by_name["Jobs"],
    {
        "Submit": Unary(pb.SubmitRequest, Permission.JOBS_WRITE, submit),
        "Get": Unary(pb.GetRequest, Permission.JOBS_READ, get),
        "Watch": Stream(pb.WatchRequest, Permission.JOBS_READ, watch),
        "Cancel": Unary(pb.CancelRequest, Permission.JOBS_WRITE, cancel),
    },
)
