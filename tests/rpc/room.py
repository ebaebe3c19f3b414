"""A room with a service of its own; its messages are those of the jobs."""

from collections.abc import AsyncGenerator
from pathlib import Path

from usina.faces.grpc.proto.usina.v1 import jobs_pb2 as pb
from usina.grpc_kit.call import Rpc
from usina.grpc_kit.service import Sent, Service, Stream, Unary
from usina.kernel.registry import App
from usina.kernel.tenancy.permission import Permission


async def own_organization(request: pb.GetRequest, rpc: Rpc) -> Sent:
    return pb.Job(id=rpc.organization_id, model=request.job_id)


async def breaks(request: pb.CancelRequest, rpc: Rpc) -> Sent:
    raise RuntimeError("a secret of the server")


async def counted(request: pb.WatchRequest, rpc: Rpc) -> AsyncGenerator[Sent]:
    async def numbers() -> AsyncGenerator[Sent]:
        endless = request.cursor == "endless"
        for number in range(100_000 if endless else 3):
            yield pb.Event(seq=number, type="x" * 50_000 if endless else "x")

    return numbers()


SERVICE = Service(
    pb.DESCRIPTOR.services_by_name["Jobs"],
    {
        "Submit": Unary(pb.SubmitRequest, Permission.APPS_READ, breaks),
        "Get": Unary(pb.GetRequest, Permission.APPS_READ, own_organization),
        "Watch": Stream(pb.WatchRequest, Permission.APPS_READ, counted),
        "Cancel": Unary(pb.CancelRequest, Permission.APPS_READ, breaks),
    },
)
APP = App("room", Path("/nowhere"), grpc="tests.rpc.room:SERVICE")
