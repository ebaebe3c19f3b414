"""The platform of the HTTP tests, with gRPC beside it, and an organization for each test."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from tests.http.conftest import Api, Running, at_work, settings_of
from tests.profiles import PROFILES
from tests.rpc.client import Client
from usina.faces.grpc.services import services_of
from usina.grpc_server import GrpcServer
from usina.kernel.activity import Activity
from usina.settings import Settings


@dataclass(frozen=True)
class Served:
    """A platform at work over both, a client without a key, and how much gRPC is asked for."""

    running: Running
    anyone: Client
    activity: Activity


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=sorted(PROFILES))
async def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Served]:
    folder = tmp_path_factory.mktemp("rpc")
    activity = Activity()
    async with (
        GrpcServer(Settings(port=0, _env_file=None)) as server,
        at_work(settings_of(folder), request.param) as running,
    ):
        await server.start(running.platform, services_of([]), activity)
        async with grpc.aio.insecure_channel(server.address) as channel:
            yield Served(running, Client(channel), activity)
        await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def api(served: Served) -> Api:
    """The same organization over HTTP."""
    return await served.running.new_organization()


@pytest.fixture
def client(served: Served, api: Api) -> Client:
    return Client(served.anyone.channel, {"x-api-key": api.key})


@pytest_asyncio.fixture(loop_scope="session")
async def other(served: Served) -> Client:
    made = await served.running.new_organization()
    return Client(served.anyone.channel, {"x-api-key": made.key})
