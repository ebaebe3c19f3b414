"""The photos of customers over gRPC, as a client of the origin calls them."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from tests.avatars.customers.conftest import Studio, a_customer
from tests.http.conftest import Running
from tests.rpc.client import refused
from usina.apps.avatars.app import app
from usina.apps.avatars.customer.proto.usina.avatars.v1 import profile_photo_job_pb2 as pb
from usina.faces.grpc.services import services_of
from usina.grpc_server import GrpcServer
from usina.kernel.activity import Activity
from usina.settings import Settings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]
SERVICE = "/usina.avatars.v1.ProfilePhotoJobGrpc"


@pytest_asyncio.fixture(loop_scope="session")
async def channel(running: Running) -> AsyncGenerator[grpc.aio.Channel]:
    async with GrpcServer(Settings(port=0, _env_file=None)) as server:
        await server.start(running.platform, services_of([app]), Activity())
        async with grpc.aio.insecure_channel(server.address) as made:
            yield made
        await server.stop()


def call(channel: grpc.aio.Channel, studio: Studio, name: str, request: Any) -> Any:
    make = channel.unary_stream if name == "StreamStatus" else channel.unary_unary
    method = make(
        f"{SERVICE}/{name}", lambda sent: sent.SerializeToString(), pb.JobStatusResponse.FromString
    )
    return method(request, timeout=60, metadata=(("x-api-key", studio.key),))


async def test_a_photo_is_waited_for(channel: grpc.aio.Channel, studio: Studio) -> None:
    sent = await studio.sent(a_customer())

    request = pb.JobStatusRequest(job_id=sent["jobId"], wait_seconds=60)
    done = await call(channel, studio, "GetStatus", request)

    assert (done.job_id, done.customer_id) == (sent["jobId"], sent["customerId"])
    assert pb.Status.Name(done.status) == "DONE"
    assert (await studio.client.get(done.generated_photo_url)).status_code == 200
    assert (await studio.client.get(done.original_photo_url)).status_code == 200
    assert done.error == ""
    assert done.updated_at.ToDatetime() > done.created_at.ToDatetime()


async def test_a_stream_of_a_job_begins_with_its_state(
    channel: grpc.aio.Channel, studio: Studio
) -> None:
    sent = await studio.sent(a_customer())
    request = pb.StatusStreamRequest(customer_id=sent["customerId"], job_id=sent["jobId"])

    told = [
        pb.Status.Name(each.status) async for each in call(channel, studio, "StreamStatus", request)
    ]
    after = [
        pb.Status.Name(each.status) async for each in call(channel, studio, "StreamStatus", request)
    ]

    assert told[-1] == "DONE"
    order = ["STATUS_PENDING", "PROCESSING", "DONE"]
    assert [order.index(state) for state in told] == sorted(map(order.index, told))
    assert after == ["DONE"]


async def test_a_customers_stream_tells_of_all_their_photos(
    channel: grpc.aio.Channel, studio: Studio
) -> None:
    name = a_customer()
    await studio.done(name)
    stream = call(channel, studio, "StreamStatus", pb.StatusStreamRequest(customer_id=name))
    await stream.initial_metadata()

    sent = await studio.sent(name)

    states = []
    async for each in stream:
        assert (each.customer_id, each.job_id) == (name, sent["jobId"])
        states.append(pb.Status.Name(each.status))
        if states[-1] == "DONE":
            break
    stream.cancel()
    assert states == ["STATUS_PENDING", "PROCESSING", "DONE"]


async def test_what_is_refused(channel: grpc.aio.Channel, studio: Studio, rival: Studio) -> None:
    sent = await studio.sent(a_customer())
    name, job_id = sent["customerId"], sent["jobId"]

    async def status_of(who: Studio, method: str, request: Any) -> str:
        with refused() as refusal:
            answer = call(channel, who, method, request)
            if method == "StreamStatus":
                _ = [each async for each in answer]
            else:
                await answer
        return refusal.status

    no_customer = pb.StatusStreamRequest(job_id=job_id)
    mine = pb.StatusStreamRequest(customer_id=name, job_id=job_id)
    assert await status_of(studio, "StreamStatus", no_customer) == "INVALID_ARGUMENT"
    for who, request in (
        (rival, mine),
        (studio, pb.StatusStreamRequest(customer_id="nobody")),
        (studio, pb.StatusStreamRequest(customer_id="nobody", job_id=job_id)),
        (studio, pb.StatusStreamRequest(customer_id=name, job_id="none")),
    ):
        assert await status_of(who, "StreamStatus", request) == "NOT_FOUND"
    assert await status_of(rival, "GetStatus", pb.JobStatusRequest(job_id=job_id)) == "NOT_FOUND"
    late = pb.JobStatusRequest(job_id=job_id, wait_seconds=61)
    assert await status_of(studio, "GetStatus", late) == "INVALID_ARGUMENT"
    await studio.ended_photo(sent)
