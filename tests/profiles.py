"""The platforms that behaviours are specified over: one suite, both profiles.

Embedded, all is in the test's process. Distributed, that process holds the API's part, on
PostgreSQL, a bucket and Redis; a worker and a beat are processes of their own.
"""

import contextlib
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tests.distributed.part import Part, usina
from tests.postgres import postgres_server
from tests.redis_server import redis_server
from tests.storage.s3_server import settings_of_bucket
from usina.app import embedded, platform_on
from usina.catalogue import registry_of
from usina.ground import distributed_ground
from usina.kernel.dispatch.celery import CeleryDispatch
from usina.kernel.jobs.queue import QUEUES
from usina.kernel.platform import Platform
from usina.settings import Settings, variable_of


@dataclass(frozen=True)
class Made:
    """A platform with somebody at work in it, and a key of its first organization."""

    platform: Platform
    first_key: str


Profile = Callable[[Settings], AbstractAsyncContextManager[Made]]
"""A platform of these settings, until the context ends."""

_NUMBER = count()
_REDIS_DATABASES = 16


@asynccontextmanager
async def _embedded(settings: Settings) -> AsyncGenerator[Made]:
    async with embedded(settings) as running:
        yield Made(running.platform, running.credentials.api_key)


@asynccontextmanager
async def _distributed(settings: Settings) -> AsyncGenerator[Made]:
    async with shared(settings) as given, contextlib.AsyncExitStack() as parts:
        started = [parts.enter_context(_part(name, given)) for name in ("worker", "beat")]
        ground = await distributed_ground(given, parts)
        assert given.redis_url is not None
        dispatch = CeleryDispatch(ground.bus, given.redis_url, QUEUES, ground.platform_id)
        parts.callback(dispatch.close)
        platform = platform_on(ground, await registry_of(given), dispatch, {})
        first = await platform.tenancy.create_organization("first")
        for part in started:
            part.ready()
        yield Made(platform, first.api_key)


PROFILES: dict[str, Profile] = {"distributed": _distributed, "embedded": _embedded}


@asynccontextmanager
async def shared(settings: Settings) -> AsyncGenerator[Settings]:
    """The same, with servers for what processes share, where nobody was before."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    async with postgres_server().lent() as url:
        yield Settings(
            **given,
            **settings_of_bucket(),
            database_url=url,
            redis_url=redis_server().address(next(_NUMBER) % _REDIS_DATABASES),
            _env_file=None,
        )


@contextlib.contextmanager
def _part(name: str, settings: Settings) -> Any:
    environment = {**os.environ, **environment_of(settings)}
    settings.data.mkdir(parents=True, exist_ok=True)
    part = Part(name, usina(name), environment, settings.data)
    try:
        yield part
        assert part.stop() == 0, part.log[-3000:]
    finally:
        part.close()


def environment_of(settings: Settings) -> dict[str, str]:
    """What was set, as variables for another process."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {variable_of(name): _text(value) for name, value in given.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        paths = all(isinstance(each, Path) for each in value)
        return (os.pathsep if paths else ",").join(str(each) for each in value)
    return str(value)
