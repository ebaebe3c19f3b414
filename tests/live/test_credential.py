"""A stream ends with the credential that it was opened with, whatever the channel."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import grpc.aio
import httpx2
import pytest
import pytest_asyncio

from tests.http.conftest import Api, Running, api, running
from tests.live.socket import socket
from usina.apps.avatars.app import app
from usina.apps.avatars.customer.proto.usina.avatars.v1 import profile_photo_job_pb2 as avatars
from usina.faces.grpc.proto.usina.v1 import jobs_pb2 as jobs
from usina.faces.grpc.services import services_of
from usina.faces.http import log
from usina.grpc_server import GrpcServer
from usina.http_kit import following
from usina.kernel.activity import Activity
from usina.settings import Settings

__all__ = ["api", "running"]

pytestmark = pytest.mark.asyncio(loop_scope="session")
OPEN: Final = "open"


@dataclass(frozen=True)
class Place:
    """What there is to be watched, and by which key."""

    url: str
    grpc: str
    key: str
    job: str

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.key}

    async def sse(self, path: str) -> AsyncGenerator[str]:
        headers = self.headers | {"accept": "text/event-stream"}
        async with (
            httpx2.AsyncClient(base_url=self.url, timeout=30) as client,
            client.stream("GET", path.format(job=self.job), headers=headers) as answer,
        ):
            assert answer.status_code == 200
            yield OPEN
            async for line in answer.aiter_lines():
                yield line

    async def websocket(self) -> AsyncGenerator[str]:
        async with socket(self.url, token=self.key) as client:
            await client.hear_a("connection_established")
            yield OPEN
            code, reason = await client.closed()
            yield f"{code} {reason}"

    async def rpc(self, method: str, request: Any) -> AsyncGenerator[str]:
        async with grpc.aio.insecure_channel(self.grpc) as channel:
            call: Any = channel.unary_stream(f"/{method}")(
                request.SerializeToString(), timeout=30, metadata=tuple(self.headers.items())
            )
            await call.initial_metadata()
            yield OPEN
            try:
                async for message in call:
                    yield repr(message)
            except grpc.aio.AioRpcError as error:
                yield error.code().name


CHANNELS: Final[dict[str, tuple[Callable[[Place], AsyncGenerator[str]], str | None]]] = {
    "sse": (lambda place: place.sse("/api/v1/events"), None),
    "log": (lambda place: place.sse("/api/v1/jobs/{job}/logs"), None),
    "photos": (lambda place: place.sse("/customers/somebody/photos/stream"), None),
    "websocket": (lambda place: place.websocket(), "4001 unauthorized"),
    "grpc": (
        lambda place: place.rpc("usina.v1.Jobs/Watch", jobs.WatchRequest()),
        "UNAUTHENTICATED",
    ),
    "photos of grpc": (
        lambda place: place.rpc(
            "usina.avatars.v1.ProfilePhotoJobGrpc/StreamStatus",
            avatars.StatusStreamRequest(customer_id="somebody"),
        ),
        "UNAUTHENTICATED",
    ),
}
"""How each is opened, and the last that it says."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(running: Running) -> AsyncGenerator[str]:
    async with GrpcServer(Settings(port=0, _env_file=None)) as server:
        await server.start(running.platform, services_of([app]), Activity())
        yield server.address
        await server.stop()


async def test_a_key_that_is_revoked_ends_what_it_has_opened(
    running: Running, api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what would have been told next, and not a word of that."""
    monkeypatch.setattr(following, "_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(log, "SILENCE_SECONDS", 0.1)
    made = (await api.post("/api/v1/api-keys", json={"name": "short"})).json()
    await api("PUT", "/customers/somebody", json={"retentionDays": 1})
    job = (await api.running(params={"seconds": 600, "log_lines": 1}))["id"]
    place = Place(str(running.anyone.base_url), address, made["secret"], job)
    streams = {name: opens(place) for name, (opens, _) in CHANNELS.items()}
    for stream in streams.values():
        assert await anext(stream) == OPEN

    assert (await api("DELETE", f"/api/v1/api-keys/{made['id']}")).status_code == 204
    later = (await api.submit())["id"]

    async with asyncio.timeout(20):
        for name, (_, last) in CHANNELS.items():
            async with aclosing(streams[name]) as stream:
                told = [text async for text in stream if text]
            assert later not in str(told), name
            assert last is None or told[-1] == last, name
    await api.ended_by_cancel(job)
