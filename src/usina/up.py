"""``usina up``: the embedded platform served until TERM, Ctrl-C or idleness."""

import asyncio
import contextlib
import gc
import socket
import sys
from dataclasses import replace
from typing import Final

import structlog
import uvloop

from usina.app import Embedded, embedded
from usina.data_folder import FolderInUse, write_credentials
from usina.kernel.jobs.store import query
from usina.kernel.platform import Platform
from usina.kernel.telemetry import configure_logging
from usina.server import Activity, PortInUse, Server, bind, make_server, on_stop_signals, url_of
from usina.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_LOOK_SECONDS: Final = 1.0


def up(settings: Settings, *, idle_exit_seconds: float | None = None) -> int:
    """Runs the embedded platform until TERM, Ctrl-C or idleness; returns the exit code."""
    configure_logging(settings.log_level, settings.log_format, sql=settings.log_sql)
    try:
        refuse_what_is_not_served(settings)
        with contextlib.closing(bind(settings.host, settings.port)) as listener:
            uvloop.run(_serve(settings, listener, idle_exit_seconds))
    except (FolderInUse, PortInUse, NotServed) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


class NotServed(Exception):
    """A setting asks for a part of the platform that this build does not have."""


def refuse_what_is_not_served(settings: Settings) -> None:
    """Better no start than one on another database than the one that was asked for."""
    asked = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "USINA_STORAGE_URL": settings.storage_url,
        "S3_ENDPOINT_URL": settings.s3_endpoint_url,
        "S3_PUBLIC_ENDPOINT_URL": settings.s3_public_endpoint_url,
        "S3_ACCESS_KEY": settings.s3_access_key,
        "S3_SECRET_KEY": settings.s3_secret_key,
    }
    for variable, value in asked.items():
        if value is not None:
            raise NotServed(
                f"{variable} is set, but this build runs embedded only: SQLite, a folder and one "
                f"process. Unset {variable} to start."
            )


async def _serve(
    settings: Settings, listener: socket.socket, idle_exit_seconds: float | None
) -> None:
    from usina.faces.http.app import create_app  # the heaviest import, late

    stop = asyncio.Event()
    on_stop_signals(stop.set)
    async with embedded(settings) as running:
        credentials = replace(running.credentials, url=url_of(listener))
        write_credentials(settings.data, credentials)
        activity = Activity(create_app(running.platform))
        server = make_server(activity)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        watch = asyncio.create_task(_leave_when_idle(activity, running, idle_exit_seconds, stop))
        await _until_ready(running.platform, server)
        gc.collect()
        gc.freeze()
        print(f"ready {url_of(listener)}", flush=True)  # noqa: T201  # the contract's one line
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
        watch.cancel()
        server.should_exit = True
        await serving
        stopped.cancel()


async def _until_ready(platform: Platform, server: Server) -> None:
    while not server.started:
        await asyncio.sleep(0.005)
    while bad := {k: v for k, v in (await platform.checks()).items() if v != "ok"}:
        _log.warning("not ready yet", checks=bad)
        await asyncio.sleep(0.2)


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
        waiting = await running.platform.database.read(query.depths)
        if activity.open or running.worker.busy or waiting:
            idle_since = loop.time()
        idle_since = max(idle_since, activity.last)
    stop.set()
