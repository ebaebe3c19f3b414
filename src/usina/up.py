"""``usina up``: the embedded platform served until TERM, Ctrl-C or idleness."""

import asyncio
import contextlib
import socket
import sys
from dataclasses import replace
from typing import Final

import uvloop

from usina.app import Embedded, embedded
from usina.data_folder import FolderInUse, write_credentials
from usina.ground import CanNotStart
from usina.kernel.activity import Activity
from usina.kernel.jobs.store import queue
from usina.kernel.telemetry import configure_logging
from usina.server import Counted, PortInUse, bind, on_stop_signals, serve, url_of
from usina.settings import Settings

_LOOK_SECONDS: Final = 1.0


def up(settings: Settings, *, idle_exit_seconds: float | None = None) -> int:
    """Runs the embedded platform until TERM, Ctrl-C or idleness; returns the exit code."""
    configure_logging(settings.log_level, settings.log_format, sql=settings.log_sql)
    try:
        refuse_what_is_distributed(settings)
        with contextlib.closing(bind(settings.host, settings.port)) as listener:
            uvloop.run(_serve(settings, listener, idle_exit_seconds))
    except (FolderInUse, PortInUse, CanNotStart) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


def refuse_what_is_distributed(settings: Settings) -> None:
    """Better no start than one on another database than the one that was asked for."""
    asked = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "REDIS_HOST": settings.redis_host,
    }
    for variable, value in asked.items():
        if value is not None:
            raise CanNotStart(
                f"{variable} is set, and `usina up` is one process with a database of its own. "
                f"Start `usina api`, `usina worker` and `usina beat`, or unset {variable}."
            )


async def _serve(
    settings: Settings, listener: socket.socket, idle_exit_seconds: float | None
) -> None:
    from usina.faces.grpc.services import services_of  # the heaviest imports, late
    from usina.faces.http.app import create_app
    from usina.grpc_server import GrpcServer

    stop = asyncio.Event()
    on_stop_signals(stop.set)
    activity = Activity()
    async with GrpcServer(settings) as grpc, embedded(settings) as running:
        platform = running.platform
        addresses = {"url": url_of(listener), "grpc_url": grpc.address}
        write_credentials(settings.data, replace(running.credentials, **addresses))
        app = Counted(create_app(platform), activity)
        watch = asyncio.create_task(_leave_when_idle(activity, running, idle_exit_seconds, stop))
        await grpc.start(platform, services_of(platform.registry.apps), activity)
        await serve(app, listener, platform, stop)
        await grpc.stop()
        watch.cancel()


async def _leave_when_idle(
    activity: Activity, running: Embedded, seconds: float | None, stop: asyncio.Event
) -> None:
    """Sets ``stop`` after so many seconds without a request and without a job."""
    if seconds is None:
        return
    loop = asyncio.get_running_loop()
    idle_since = loop.time()
    while loop.time() - idle_since < seconds:
        await asyncio.sleep(min(_LOOK_SECONDS, seconds))
        waiting = await running.platform.database.read(queue.depths)
        if activity.open or running.worker.busy or waiting:
            idle_since = loop.time()
        idle_since = max(idle_since, activity.last)
    stop.set()
