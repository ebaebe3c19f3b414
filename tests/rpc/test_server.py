"""The server around the services: its port, TLS, health, reflection, rooms, and its end."""

import asyncio
import datetime
import ipaddress
import json
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.distributed.part import Part, usina
from tests.http.conftest import Running, at_work, settings_of
from tests.rpc.client import Client, refused
from tests.rpc.room import APP, SERVICE
from usina.faces.grpc.proto.usina.v1 import jobs_pb2 as pb
from usina.faces.grpc.services import services_of
from usina.grpc_server import GrpcServer
from usina.kernel.activity import Activity
from usina.kernel.registry import App
from usina.settings import Settings

NAME = "127.0.0.1"


@asynccontextmanager
async def server_of(running: Running, *rooms: App, **settings: Any) -> AsyncGenerator[GrpcServer]:
    async with GrpcServer(Settings(port=0, _env_file=None, **settings)) as server:
        services = [service for service in services_of(rooms) if not rooms or service is SERVICE]
        await server.start(running.platform, services, Activity())
        yield server


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[Running]:
    async with at_work(settings_of(tmp_path)) as made:
        yield made


async def test_what_it_serves_can_be_asked(running: Running) -> None:
    async with (
        server_of(running) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="usina.v1.Jobs"),
        ]
        listed, described = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
    names = {service.name for service in listed.list_services_response.service}
    assert {"usina.v1.Jobs", "grpc.health.v1.Health"} <= names
    assert described.file_descriptor_response.file_descriptor_proto


async def test_health_follows_readiness(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = asyncio.Event()

    async def look() -> tuple[bool, Mapping[str, str]]:
        return ready.is_set(), {}

    monkeypatch.setattr("usina.grpc_server._LOOK_SECONDS", 0.05)
    monkeypatch.setattr(running.platform.readiness, "look", look)
    async with (
        server_of(running) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        told = stub.Watch(health_pb2.HealthCheckRequest(service="usina.v1.Jobs"))
        states = health_pb2.HealthCheckResponse
        async with asyncio.timeout(10):
            while (await told.read()).status != states.NOT_SERVING:
                pass
            ready.set()
            while (await told.read()).status != states.SERVING:
                pass
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == states.SERVING
        with refused() as unknown:
            await stub.Check(health_pb2.HealthCheckRequest(service="nosuch"))
        assert unknown.status == "NOT_FOUND"
        told.cancel()


async def test_a_room_has_a_service_of_its_own(
    running: Running, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    api = await running.new_organization()
    async with (
        server_of(running, APP) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        client = Client(channel, {"x-api-key": api.key, "x-request-id": "my-own"})
        assert (await client.get("x")).id == api.caller.organization_id
        assert [event.seq async for event in client.watch()] == [0, 1, 2]
        with refused() as told:
            await client.submit()
        assert (told.status, told.code) == ("INTERNAL", "internal")
        assert "secret" not in told.detail
        assert told.trailing["x-request-id"] == "my-own"
        with refused() as told:
            await Client(channel).get("x")
        assert told.status == "UNAUTHENTICATED"
    assert "a secret of the server" in capsys.readouterr().out + caplog.text


async def test_who_takes_nothing_is_let_go(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usina.grpc_kit.service._SEND_SECONDS", 0.5)
    api = await running.new_organization()
    async with (
        server_of(running, APP) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        client = Client(channel, {"x-api-key": api.key})
        call = client.call("Watch", pb.WatchRequest(cursor="endless"))
        assert (await call.read()).seq == 0
        await asyncio.sleep(2)  # it takes nothing meanwhile
        with refused() as told:
            while True:
                assert await call.read() is not grpc.aio.EOF
        assert (told.status, told.code) == ("UNAVAILABLE", "too_slow")


def certificate(folder: Path) -> dict[str, Path]:
    """For this machine, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(NAME))]), False
        )
        .sign(key, hashes.SHA256())
    )
    paths = {"grpc_tls_certificate": folder / "tls.crt", "grpc_tls_key": folder / "tls.key"}
    paths["grpc_tls_certificate"].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths["grpc_tls_key"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


async def test_over_tls(running: Running, tmp_path: Path) -> None:
    api = await running.new_organization()
    paths = certificate(tmp_path)
    trusted = grpc.ssl_channel_credentials(paths["grpc_tls_certificate"].read_bytes())
    async with server_of(running, **paths) as server:
        async with grpc.aio.secure_channel(server.address, trusted) as channel:
            assert (await Client(channel, {"x-api-key": api.key}).submit()).id
        async with grpc.aio.insecure_channel(server.address) as channel:
            with refused() as told:
                await Client(channel, {"x-api-key": api.key}).submit()
            assert told.status == "UNAVAILABLE"


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"USINA_DATA": str(folder / "data"), "USINA_LOG_FORMAT": "json", **more}


@pytest.mark.parametrize("also", [(), ("--port", "0")])
def test_a_port_in_use_is_named(tmp_path: Path, also: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = usina("up", "--grpc-port", port, "--port", "0")
        part = Part("up", command, environment(tmp_path), tmp_path)
        try:
            assert part.ended(60) == 1
            assert part.log.count("\n") == 1
            assert port in part.log
            assert "--grpc-port" in part.log
            assert not part.told
        finally:
            part.close()
    assert not (tmp_path / "data" / "credentials.json").exists()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"USINA_GRPC_TLS_KEY": "/nowhere"}, "USINA_GRPC_TLS_CERTIFICATE"),
        ({"USINA_GRPC_TLS_KEY": "/no", "USINA_GRPC_TLS_CERTIFICATE": "/nowhere"}, "/no"),
    ],
)
def test_tls_that_can_not_be(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    part = Part("up", usina("up", "--port", "0"), environment(tmp_path, **variables), tmp_path)
    try:
        assert part.ended(60) == 1
        assert said in part.log
        assert "Traceback" not in part.log
    finally:
        part.close()


async def test_a_platform_that_leaves_says_so(tmp_path: Path) -> None:
    part = Part("up", usina("up", "--port", "0"), environment(tmp_path), tmp_path)
    try:
        await asyncio.to_thread(part.ready)
        credentials = json.loads((tmp_path / "data" / "credentials.json").read_text())
        async with grpc.aio.insecure_channel(credentials["grpc_url"]) as channel:
            client = Client(channel, {"x-api-key": credentials["api_key"]})
            job = await client.submit(seconds=600)
            watching = client.call("Watch", pb.WatchRequest(job_id=job.id))
            waiting = client.call("Get", pb.GetRequest(job_id=job.id, wait_seconds=60))
            while (await watching.read()).type != "job.running":
                pass
            part.terminate()
            with refused() as told:
                while True:
                    assert await watching.read() is not grpc.aio.EOF
            assert (told.status, told.code) == ("UNAVAILABLE", "leaving")
            assert (await waiting).id == job.id
            assert await asyncio.to_thread(part.ended, 10) == 0
    finally:
        part.close()
    for line in part.log.splitlines():
        assert {"timestamp", "level", "event"} <= json.loads(line).keys()
    assert credentials["api_key"] not in part.log
