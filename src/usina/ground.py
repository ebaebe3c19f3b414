"""What every process of a platform stands on: the database, the store, the bus.

Embedded, that is a file, a folder and this process alone; distributed, PostgreSQL, a bucket (or a
folder that all machines share) and Redis.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final

from usina.kernel.clock import Clock, SystemClock
from usina.kernel.db import meta
from usina.kernel.db.connect import revision_at
from usina.kernel.db.migrations import HEAD, revision_of, upgrade
from usina.kernel.db.postgres import PostgresDatabase, PostgresOptions
from usina.kernel.db.sqlite import SqliteDatabase, open_engine
from usina.kernel.db.unit_of_work import Database
from usina.kernel.db.wall import RolesMissing
from usina.kernel.errors import Conflict, Problem, Unavailable
from usina.kernel.events.bus import Bus
from usina.kernel.events.relay import RedisRelay
from usina.kernel.storage.marker import MARKER, claim, owner_of
from usina.kernel.storage.store import Store
from usina.kernel.telemetry import serve_metrics
from usina.kernel.tenancy.quota import QUOTAS, Quota, Quotas
from usina.settings import Settings
from usina.storage import open_chosen_store

_OR_EMBEDDED: Final = "or start everything on one machine with `usina up`."


class CanNotStart(Exception):
    """What is asked for can not be served so; the text says what to do."""


@dataclass(frozen=True)
class Ground:
    """What is pushed onto ``parts`` is closed in reverse order. ``relay`` is null where there is
    no other process."""

    settings: Settings
    clock: Clock
    database: Database
    store: Store
    bus: Bus
    relay: RedisRelay | None
    secret: bytes
    platform_id: str
    quotas: Quotas
    parts: contextlib.AsyncExitStack


def redis_of(settings: Settings) -> str:
    """The address of Redis, whole or by the origins' parts; raises :class:`CanNotStart`."""
    if settings.redis_url is not None:
        return settings.redis_url
    if settings.redis_host is not None:
        return f"redis://{settings.redis_host}:{settings.redis_port}/0"
    raise CanNotStart("Set REDIS_URL, a Redis; " + _OR_EMBEDDED)


def postgres_options(settings: Settings) -> PostgresOptions:
    return PostgresOptions(
        settings.database_connections,
        settings.database_pooler,
        settings.database_statement_seconds,
        settings.database_lock_seconds,
    )


async def embedded_ground(
    settings: Settings, clock: Clock | None, parts: contextlib.AsyncExitStack
) -> Ground:
    """SQLite in the data folder, which the caller holds the lock of."""
    clock = clock or SystemClock()
    migrate(settings)
    database = SqliteDatabase(settings.database_path, clock)
    parts.push_async_callback(database.close)
    await _prepare(database)
    return await _ground(settings, clock, database, Bus(), None, parts)


async def distributed_ground(
    settings: Settings, parts: contextlib.AsyncExitStack, *, works: bool = False
) -> Ground:
    """PostgreSQL and Redis, shared with other processes; raises :class:`CanNotStart`.

    The database tells the time. Redis may be away: its absence is waited for by nobody. What
    workers are asked is heard by a process that ``works`` alone.
    """
    try:
        return await _shared_ground(settings, parts, works=works)
    except Unavailable as error:
        raise CanNotStart(error.detail) from error


async def _shared_ground(
    settings: Settings, parts: contextlib.AsyncExitStack, *, works: bool
) -> Ground:
    database = await _shared_database(settings, parts)
    bus = Bus()
    relay = RedisRelay(redis_of(settings), await database.read(meta.platform_id), bus, works=works)
    relay.start()
    parts.push_async_callback(relay.stop)
    return await _ground(settings, SystemClock(), database, bus, relay, parts)


def platform_id_of(settings: Settings) -> str:
    """The id of the distributed platform of these settings, for what is made before its ground;
    raises :class:`CanNotStart`."""

    async def look() -> str:
        async with contextlib.AsyncExitStack() as parts:
            return await (await _shared_database(settings, parts)).read(meta.platform_id)

    try:
        return asyncio.run(look())
    except Unavailable as error:
        raise CanNotStart(error.detail) from error


async def _shared_database(
    settings: Settings, parts: contextlib.AsyncExitStack
) -> PostgresDatabase:
    refuse_without_servers(settings)
    assert settings.database_url is not None
    revision = await revision_at(settings.database_url)
    if revision != HEAD:
        found = f"revision {revision}" if revision else "empty"
        raise CanNotStart(
            f"The database is {found} and this build needs revision {HEAD}: run `usina db upgrade`."
        )
    database = PostgresDatabase(settings.database_url, postgres_options(settings))
    parts.push_async_callback(database.close)
    await _prepare(database)
    return database


def show_metrics(settings: Settings, parts: contextlib.AsyncExitStack) -> None:
    """Serves the metrics of a process without an API, where a port for them is set."""
    if settings.metrics_port is not None:
        try:
            parts.callback(serve_metrics(settings.host, settings.metrics_port))
        except OSError as error:
            raise CanNotStart(
                f"USINA_METRICS_PORT: can not listen on {settings.host}:{settings.metrics_port}: "
                f"{error.strerror}."
            ) from None


def refuse_without_servers(settings: Settings) -> None:
    """Raises :class:`CanNotStart` where the settings do not name all that is shared."""
    if settings.database_url is None:
        raise CanNotStart("Set DATABASE_URL, a PostgreSQL; " + _OR_EMBEDDED)
    redis_of(settings)
    if settings.storage_url is None:
        place = "a bucket, or a folder that every machine sees"
        raise CanNotStart(f"Set USINA_STORAGE_URL, {place}; " + _OR_EMBEDDED)


async def _prepare(database: Database) -> None:
    """A database that is only half there is no ground to stand on."""
    try:
        await database.write(meta.prepare)
    except Conflict as error:
        raise CanNotStart(error.detail) from error
    except RolesMissing as error:
        raise CanNotStart(str(error)) from error


def migrate(settings: Settings) -> None:
    """Brings the embedded platform's database to the newest revision."""
    engine = open_engine(settings.database_path)
    try:
        if revision_of(engine) != HEAD:
            upgrade(engine)
    finally:
        engine.dispose()


async def _ground(
    settings: Settings,
    clock: Clock,
    database: Database,
    bus: Bus,
    relay: RedisRelay | None,
    parts: contextlib.AsyncExitStack,
) -> Ground:
    secret, platform_id = await database.read(lambda tx: (meta.secret(tx), meta.platform_id(tx)))
    store = await _claimed_store(settings, platform_id)
    parts.callback(store.close)
    quotas = Quotas(database, _most(settings))
    bus.tap(QUOTAS, lambda _: quotas.forget())
    return Ground(settings, clock, database, store, bus, relay, secret, platform_id, quotas, parts)


def _most(settings: Settings) -> Quota:
    """What no organization has more of."""
    return Quota(
        settings.quota_running_jobs, settings.quota_queued_jobs, settings.quota_stored_bytes
    )


async def _claimed_store(settings: Settings, platform_id: str) -> Store:
    name = settings.storage_url or str(settings.data / "store")
    try:
        store = open_chosen_store(settings)
        ours = await store.run(lambda: claim(store, platform_id))
        owner = None if ours else await store.run(lambda: owner_of(store))
    except (Problem, OSError) as error:
        why = error.detail if isinstance(error, Problem) else f"{error}."
        raise CanNotStart(f"The store {name}: {why}") from None
    if not ours:
        store.close()
        raise CanNotStart(_strange(name, owner, platform_id))
    return store


def _strange(name: str, owner: str | None, platform_id: str) -> str:
    whose = (
        f"belongs to the platform {owner}"
        if owner
        else f"holds objects and no {MARKER} that says whose they are"
    )
    return (
        f"The store {name} {whose}, and this database is the platform {platform_id}, which would "
        "delete what it does not know there. Set USINA_STORAGE_URL to an empty one or to its own. "
        "If nobody else uses this one, make it this platform's: `usina admin adopt-store`."
    )
