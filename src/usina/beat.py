"""``usina beat``: the clockwork of a distributed platform. Two of them do no harm."""

import asyncio
import contextlib
import sys

import uvloop

from usina.app import beat_of, platform_on
from usina.catalogue import registry_of
from usina.ground import CanNotStart, distributed_ground, redis_of, show_metrics
from usina.identity import refuse_weak_secret
from usina.kernel.dispatch.celery import CeleryDispatch
from usina.kernel.queue import QUEUES
from usina.kernel.telemetry import configure_logging
from usina.outbound import start_delivering
from usina.server import on_stop_signals
from usina.settings import Settings


def beat(settings: Settings) -> int:
    """Turns until TERM or Ctrl-C; returns the exit code."""
    configure_logging(settings.log_level, settings.log_format, sql=settings.log_sql)
    try:
        refuse_weak_secret(settings, needed=False)
        uvloop.run(_turn(settings))
    except CanNotStart as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


async def _turn(settings: Settings) -> None:
    stop = asyncio.Event()
    on_stop_signals(stop.set)
    async with contextlib.AsyncExitStack() as parts:
        show_metrics(settings, parts)
        ground = await distributed_ground(settings, parts)
        dispatch = CeleryDispatch(ground.bus, redis_of(settings), QUEUES, ground.platform_id)
        parts.callback(dispatch.close)
        platform = platform_on(ground, await registry_of(settings), dispatch, {})
        await start_delivering(ground)
        clockwork = beat_of(platform)
        clockwork.start(clockwork.turns_for_many)
        parts.push_async_callback(clockwork.stop)
        print("ready", flush=True)  # noqa: T201  # for whoever started it
        await stop.wait()
