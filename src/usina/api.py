"""``usina api``: the HTTP window of a platform whose workers are elsewhere."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable

import uvloop

from usina.app import beat_of, platform_on
from usina.catalogue import registry_of
from usina.ground import CanNotStart, Ground, distributed_ground, redis_of
from usina.identity import refuse_weak_secret
from usina.kernel.activity import Activity
from usina.kernel.dispatch.celery import CeleryDispatch
from usina.kernel.queue import QUEUES
from usina.kernel.readiness import Check
from usina.kernel.telemetry import configure_logging
from usina.server import PortInUse, bind, on_stop_signals, serve
from usina.settings import Settings


def api(settings: Settings) -> int:
    """Serves until TERM or Ctrl-C; returns the exit code."""
    configure_logging(settings.log_level, settings.log_format, sql=settings.log_sql)
    try:
        refuse_weak_secret(settings, needed=True)
        with contextlib.closing(bind(settings.host, settings.port)) as listener:
            uvloop.run(_serve(settings, listener))
    except (CanNotStart, PortInUse) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


async def _serve(settings: Settings, listener: socket.socket) -> None:
    from usina.faces.grpc.services import services_of  # the heaviest imports, late
    from usina.faces.http.app import create_app
    from usina.grpc_server import GrpcServer

    stop = asyncio.Event()
    on_stop_signals(stop.set)
    async with contextlib.AsyncExitStack() as parts:
        grpc = await parts.enter_async_context(GrpcServer(settings))
        ground = await distributed_ground(settings, parts)
        dispatch = CeleryDispatch(ground.bus, redis_of(settings), QUEUES, ground.platform_id)
        parts.callback(dispatch.close)
        others = {"redis": Check(_redis_answers(ground), needed=False)}
        platform = platform_on(ground, await registry_of(settings), dispatch, others)
        beat = beat_of(platform)
        beat.start(beat.turns_of_faces)
        parts.push_async_callback(beat.stop)
        await grpc.start(platform, services_of(platform.registry.apps), Activity())
        await serve(create_app(platform), listener, platform, stop)
        await grpc.stop()


def _redis_answers(ground: Ground) -> Callable[[], Awaitable[str]]:
    async def look() -> str:
        assert ground.relay is not None
        return "ok" if ground.relay.answers else "it does not answer; work goes on more slowly"

    return look
