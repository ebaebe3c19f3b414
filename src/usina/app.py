"""The front door: builds the platform out of its parts and runs it.

The only file that knows them all. The command line calls :func:`up`, :func:`seed`,
:func:`create_organization` and :func:`upgrade_database`; tests build platforms with
:func:`embedded`.
"""

import asyncio
import contextlib
import gc
import os
import secrets
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final, TypeVar

import structlog
import uvloop

from usina.data_folder import (
    Credentials,
    FolderInUse,
    locked,
    read_credentials,
    write_credentials,
)
from usina.kernel.artifacts.owner import ArtifactOwner
from usina.kernel.artifacts.service import Artifacts
from usina.kernel.beat import Beat, Retention
from usina.kernel.clock import Clock, SystemClock
from usina.kernel.db import meta
from usina.kernel.db.batch import Batch
from usina.kernel.db.migrations import HEAD, revision_of, upgrade
from usina.kernel.db.sqlite import SqliteDatabase, open_engine
from usina.kernel.dispatch.local import LocalDispatch
from usina.kernel.events.bus import Bus, end_topic
from usina.kernel.events.stream import EventStream
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.owner import FileOwner, UploadOwner
from usina.kernel.files.service import Files
from usina.kernel.idempotency.service import Idempotency
from usina.kernel.ids import new_id
from usina.kernel.jobs.service import Jobs
from usina.kernel.jobs.store import query
from usina.kernel.jobs.store.ending import finish
from usina.kernel.jobs.store.lease import WorkerRow
from usina.kernel.jobs.validation import Limits
from usina.kernel.platform import Platform
from usina.kernel.registry import Registry, discover_apps, load_registry
from usina.kernel.runners.pool import RunnerLimits, RunnerPool, clear_leftovers
from usina.kernel.runners.stash import FolderStash
from usina.kernel.storage.folder import FolderStore
from usina.kernel.storage.marker import claim
from usina.kernel.storage.sweep import Sweeper
from usina.kernel.telemetry import configure_logging
from usina.kernel.tenancy.service import CreatedOrganization, SeedReport, Tenancy
from usina.kernel.worker.attempt import Workshop
from usina.kernel.worker.worker import Worker, WorkerOptions
from usina.server import Activity, PortInUse, Server, bind, make_server, on_stop_signals, url_of
from usina.settings import Settings

T = TypeVar("T")
_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_OWNER: Final = "owner@localhost"
_QUEUES: Final = ("default", "gpu", "io")
_LOOK_SECONDS: Final = 1.0
_SWEEP_GRACE: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Embedded:
    """A running embedded platform: its parts, its worker, and what its first owner needs."""

    platform: Platform
    worker: Worker
    credentials: Credentials


@asynccontextmanager
async def embedded(settings: Settings, clock: Clock | None = None) -> AsyncGenerator[Embedded]:
    """The whole platform in this process, at work until the context ends.

    Raises :class:`FolderInUse` when another process holds the data folder.
    """
    with locked(settings.data):
        async with contextlib.AsyncExitStack() as parts:
            yield await _assemble(settings, clock or SystemClock(), parts)


async def _assemble(settings: Settings, clock: Clock, parts: contextlib.AsyncExitStack) -> Embedded:
    _upgrade(settings)
    database = SqliteDatabase(settings.database_path, clock)
    parts.push_async_callback(database.close)
    await database.write(meta.prepare)
    secret, platform_id = await database.read(lambda tx: (meta.secret(tx), meta.platform_id(tx)))

    store = FolderStore(settings.data / "store")
    parts.callback(store.close)
    await store.run(lambda: claim(store, platform_id))
    bus = Bus()
    dispatch = LocalDispatch()
    artifacts = Artifacts(database, store, clock)
    file_limits = FileLimits(settings.max_upload_bytes, timedelta(seconds=settings.upload_seconds))
    files = Files(database, store, clock, query.file_in_use, file_limits)
    idempotency = Idempotency(database, settings.idempotency_seconds)
    tenancy = Tenancy(database)
    credentials, registry = await asyncio.gather(
        _introduce(settings, tenancy),
        load_registry(discover_apps("usina.apps"), settings.runners),
    )
    alive = max(settings.lease, timedelta(seconds=3 * settings.heartbeat_seconds))
    limits = Limits(settings.max_timeout_seconds)
    jobs = Jobs(database, bus, registry, artifacts, dispatch, limits, alive)
    worker = _make_worker(settings, database, bus, registry, store, artifacts, parts)
    dispatch.attach(worker)
    platform = Platform(
        settings=settings,
        clock=clock,
        database=database,
        secret=secret,
        tenancy=tenancy,
        registry=registry,
        store=store,
        files=files,
        artifacts=artifacts,
        bus=bus,
        events=EventStream(database, bus),
        idempotency=idempotency,
        jobs=jobs,
        checks=_checks(settings, database, store, worker),
    )
    await worker.start(take_over=True)
    parts.push_async_callback(worker.stop)
    files_kept = _days(settings.retention_files_days)
    owners = [FileOwner(query.files_in_jobs, files_kept), UploadOwner(), ArtifactOwner()]
    sweep = _sweep(Sweeper(database, store, owners), clock)
    retention = Retention(
        _days(settings.retention_jobs_days), _days(settings.retention_events_days)
    )
    beat = Beat(database, jobs, artifacts, idempotency, sweep, retention)
    beat.start()
    parts.push_async_callback(beat.stop)
    return Embedded(platform, worker, credentials)


def _make_worker(
    settings: Settings,
    database: SqliteDatabase,
    bus: Bus,
    registry: Registry,
    store: FolderStore,
    artifacts: Artifacts,
    parts: contextlib.AsyncExitStack,
) -> Worker:
    work_root = settings.data / "work"
    clear_leftovers(work_root)
    parts.callback(clear_leftovers, work_root)
    visible = {"USINA_MAX_IMAGE_PIXELS": str(settings.max_image_pixels)}
    pool = RunnerPool(limits=_runner_limits(settings), root=work_root, environment=visible)
    parts.push_async_callback(pool.close)
    workshop = Workshop(
        database=database,
        bus=bus,
        registry=registry,
        store=store,
        artifacts=artifacts,
        pool=pool,
        endings=Batch(
            database,
            lambda tx, all_: finish(
                tx,
                all_,
                settings.retry_seconds,
                bus.announce,
                lambda job: bus.settle(end_topic(job.id), job),
            ),
        ),
        folders=FolderStash(work_root),
        cores=max(1, (os.cpu_count() or 1) // settings.slots),
    )
    options = WorkerOptions(
        queues=_QUEUES,
        slots=settings.slots,
        lease=settings.lease,
        heartbeat_seconds=settings.heartbeat_seconds,
        poll_seconds=settings.poll_seconds,
    )
    return Worker(workshop, WorkerRow(new_id(), socket.gethostname(), settings.slots), options)


def up(settings: Settings, *, idle_exit_seconds: float | None = None) -> int:
    """Runs the embedded platform until TERM, Ctrl-C or idleness; returns the exit code."""
    configure_logging(settings.log_level, settings.log_format)
    try:
        with contextlib.closing(bind(settings.host, settings.port)) as listener:
            uvloop.run(_serve(settings, listener, idle_exit_seconds))
    except (FolderInUse, PortInUse) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


async def _serve(
    settings: Settings, listener: socket.socket, idle_exit_seconds: float | None
) -> None:
    from usina.faces.http.app import create_app  # the heaviest import, late

    stop = asyncio.Event()
    on_stop_signals(stop.set)
    async with embedded(settings) as running:
        credentials = _addressed(running.credentials, url_of(listener))
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


def seed(settings: Settings) -> SeedReport:
    """The first organization, owner and key; safe beside a running platform and to repeat."""
    return asyncio.run(_with_tenancy(settings, lambda tenancy: _seed(settings, tenancy)))


def create_organization(settings: Settings, name: str) -> CreatedOrganization:
    """A new organization and its first key."""
    return asyncio.run(_with_tenancy(settings, lambda tenancy: tenancy.create_organization(name)))


def upgrade_database(settings: Settings) -> str:
    """Brings the schema to the newest revision and returns its name."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    _upgrade(settings)
    return HEAD


async def _with_tenancy(settings: Settings, work: Callable[[Tenancy], Awaitable[T]]) -> T:
    upgrade_database(settings)
    database = SqliteDatabase(settings.database_path)
    try:
        await database.write(meta.prepare)
        return await work(Tenancy(database))
    finally:
        await database.close()


def _upgrade(settings: Settings) -> None:
    engine = open_engine(settings.database_path)
    try:
        if revision_of(engine) != HEAD:
            upgrade(engine)
    finally:
        engine.dispose()


async def _seed(settings: Settings, tenancy: Tenancy) -> SeedReport:
    password, key = settings.first_superuser_password, settings.first_superuser_api_key
    return await tenancy.seed(
        settings.first_superuser_username,
        None if password is None else password.get_secret_value(),
        None if key is None else key.get_secret_value(),
    )


async def _introduce(settings: Settings, tenancy: Tenancy) -> Credentials:
    """The first owner's credentials: kept from the file, or new ones where it is missing."""
    report = await _seed(settings, tenancy)
    known = read_credentials(settings.data)
    if known is not None and known.organization_id == report.organization_id:
        return known
    password = secrets.token_urlsafe(18)
    await tenancy.seed(_OWNER, password, None)
    key = await tenancy.replace_first_key(report.organization_id)
    credentials = Credentials(None, None, key, _OWNER, password, report.organization_id)
    write_credentials(settings.data, credentials)
    return credentials


def _addressed(credentials: Credentials, url: str) -> Credentials:
    fields = {name: getattr(credentials, name) for name in Credentials.__slots__}
    return Credentials(**fields | {"url": url})


def _runner_limits(settings: Settings) -> RunnerLimits:
    return RunnerLimits(
        log_bytes=settings.max_log_bytes,
        artifacts=settings.max_artifacts,
        processes=settings.max_processes,
        file_bytes=settings.max_file_bytes,
        open_files=settings.max_open_files,
        warm_idle_seconds=settings.warm_idle_seconds,
        warm_jobs=settings.warm_jobs,
        warm_count=settings.warm_count,
    )


def _checks(
    settings: Settings, database: SqliteDatabase, store: FolderStore, worker: Worker
) -> Callable[[], Awaitable[dict[str, str]]]:
    """``ok`` or why not, by dependency."""

    async def database_answers() -> str:
        async with asyncio.timeout(2):
            await database.read(meta.epoch)
        return "ok"

    async def store_writable() -> str:
        return "ok" if os.access(settings.data / "store", os.W_OK) else "the folder is read-only"

    async def worker_turns() -> str:
        return "ok" if worker.alive() else "its loops have stopped"

    async def checks() -> dict[str, str]:
        named = {"database": database_answers, "storage": store_writable, "worker": worker_turns}
        found: dict[str, str] = {}
        for name, look in named.items():
            try:
                found[name] = await look()
            except Exception as error:
                _log.warning("check failed", check=name, error=repr(error))
                found[name] = f"it does not answer ({type(error).__name__})"
        return found

    return checks


def _sweep(sweeper: Sweeper, clock: Clock) -> Callable[[], Awaitable[None]]:
    """Sweeps as the beat asks: at the start nobody else writes, so one look is enough."""
    grace = timedelta(0)

    async def sweep() -> None:
        nonlocal grace
        report = await sweeper.sweep(clock.now(), grace)
        grace = _SWEEP_GRACE
        _log.info("store swept", **asdict(report))

    return sweep


def _days(days: float | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)
