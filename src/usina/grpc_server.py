"""Serving over gRPC, in the event loop of HTTP: the port, health, reflection, an orderly end."""

import asyncio
from collections.abc import Sequence
from typing import Final, Self

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from usina.ground import CanNotStart
from usina.grpc_kit.service import Service, handler_of
from usina.kernel.activity import Activity
from usina.kernel.platform import Platform
from usina.kernel.readiness import Readiness
from usina.server import PortInUse
from usina.settings import Settings

_CLOSING_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 5.0
_PING_SECONDS: Final = 60
_PING_ANSWER_SECONDS: Final = 20
_QUICKEST_PING_SECONDS: Final = 10
_MOST_STREAMS: Final = 1000


class GrpcServer:
    """Bound when it is made, so that a port in use is told before anything starts; raises
    :class:`PortInUse` and, where TLS can not be, :class:`CanNotStart`."""

    def __init__(self, settings: Settings) -> None:
        self._server = grpc.aio.server(options=_options(settings))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        port = settings.grpc_port_asked
        tls = _tls(settings)
        address = f"{host}:{port}"
        try:
            bound = (
                self._server.add_insecure_port(address)
                if tls is None
                else self._server.add_secure_port(address, tls)
            )
        except RuntimeError:
            raise PortInUse(
                f"Can not listen for gRPC on {address}; port {port} is in use, or not ours to use. "
                "Give another --grpc-port (USINA_GRPC_PORT), or 0 for a free one."
            ) from None
        self.address = f"{host}:{bound}"
        """``host:port``, as gRPC's clients take it."""
        self._states = health.aio.HealthServicer()
        self._looking: asyncio.Task[None] | None = None

    async def start(
        self, platform: Platform, services: Sequence[Service], activity: Activity
    ) -> None:
        names = [service.name for service in services]
        handlers = [handler_of(service, platform, activity) for service in services]
        self._server.add_generic_rpc_handlers(handlers)
        health_pb2_grpc.add_HealthServicer_to_server(self._states, self._server)
        shown = [*names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(shown, self._server)
        await self._server.start()
        look = _tell_health(self._states, names, platform.readiness)
        self._looking = asyncio.create_task(look)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Calls that are open have a moment to end. Safe to repeat."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._states.enter_graceful_shutdown()
        await self._server.stop(_CLOSING_SECONDS)


async def _tell_health(
    states: health.aio.HealthServicer, names: Sequence[str], readiness: Readiness
) -> None:
    """Each service is as ready as the platform."""
    while True:
        ready, _ = await readiness.look()
        told = health_pb2.HealthCheckResponse
        state = told.SERVING if ready else told.NOT_SERVING
        for name in (health.OVERALL_HEALTH, *names):
            await states.set(name, state)
        await asyncio.sleep(_LOOK_SECONDS)


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_concurrent_streams", _MOST_STREAMS),
        ("grpc.keepalive_time_ms", _PING_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", _PING_ANSWER_SECONDS * 1000),
        ("grpc.http2.min_ping_interval_without_data_ms", _QUICKEST_PING_SECONDS * 1000),
    ]


def _tls(settings: Settings) -> grpc.ServerCredentials | None:
    certificate, key = settings.grpc_tls_certificate, settings.grpc_tls_key
    if certificate is None or key is None:
        return None
    try:
        pair = key.read_bytes(), certificate.read_bytes()
    except OSError as error:
        raise CanNotStart(f"TLS of gRPC: {error.filename}: {error.strerror}.") from None
    return grpc.ssl_server_credentials([pair])
