"""The front door: builds the platform out of its parts.

The only file that knows them all. :func:`usina.up.up` serves what :func:`embedded` builds; the
command line also calls :func:`seed`, :func:`create_organization` and :func:`upgrade_database`.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import structlog

from usina.data_folder import (
    Credentials,
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
from usina.kernel.jobs.checkpoint import CheckpointOwner
from usina.kernel.jobs.service import Jobs
from usina.kernel.jobs.store import query
from usina.kernel.jobs.store.ending import finish
from usina.kernel.jobs.store.lease import WorkerRow
from usina.kernel.jobs.validation import Limits
from usina.kernel.platform import Platform
from usina.kernel.registry import Registry, discover_apps, load_registry
from usina.kernel.runners.cgroup import delegated_group
from usina.kernel.runners.pool import RunnerLimits, RunnerPool, Sandbox, clear_leftovers
from usina.kernel.runners.stash import FolderStash
from usina.kernel.runners.trial import missing, try_sandbox
from usina.kernel.storage.marker import claim
from usina.kernel.storage.open import open_store
from usina.kernel.storage.s3_address import S3Access
from usina.kernel.storage.store import Store
from usina.kernel.storage.sweep import Sweeper
from usina.kernel.tenancy.service import CreatedOrganization, SeedReport, Tenancy
from usina.kernel.worker.attempt import Workshop
from usina.kernel.worker.worker import Worker, WorkerOptions
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


@dataclass(frozen=True)
class _Ground:
    """What every part stands on; what is pushed onto ``parts`` is closed in reverse order."""

    settings: Settings
    clock: Clock
    database: SqliteDatabase
    store: Store
    bus: Bus
    secret: bytes
    parts: contextlib.AsyncExitStack


async def _open_ground(
    settings: Settings, clock: Clock, parts: contextlib.AsyncExitStack
) -> _Ground:
    """The migrated database and the store that belongs to it."""
    _upgrade(settings)
    database = SqliteDatabase(settings.database_path, clock)
    parts.push_async_callback(database.close)
    await database.write(meta.prepare)
    secret, platform_id = await database.read(lambda tx: (meta.secret(tx), meta.platform_id(tx)))
    store = _open_store(settings)
    parts.callback(store.close)
    await store.run(lambda: claim(store, platform_id))
    return _Ground(settings, clock, database, store, Bus(), secret, parts)


def _open_store(settings: Settings) -> Store:
    url = settings.storage_url or (settings.data / "store").as_uri()
    key, secret = settings.s3_access_key, settings.s3_secret_key
    if key is None or secret is None:
        return open_store(url, None)
    scheme = "https" if settings.minio_secure else "http"
    access = S3Access(
        key.get_secret_value(),
        secret.get_secret_value(),
        settings.s3_region,
        _with_scheme(settings.s3_endpoint_url, scheme),
        _with_scheme(settings.s3_public_endpoint_url, scheme),
    )
    return open_store(url, access)


def _with_scheme(endpoint: str | None, scheme: str) -> str | None:
    return endpoint if endpoint is None or "://" in endpoint else f"{scheme}://{endpoint}"


async def _assemble(settings: Settings, clock: Clock, parts: contextlib.AsyncExitStack) -> Embedded:
    ground = await _open_ground(settings, clock, parts)
    database, store, bus = ground.database, ground.store, ground.bus
    artifacts = Artifacts(database, store, clock)
    upload_time = timedelta(seconds=settings.upload_seconds)
    file_limits = FileLimits(settings.max_upload_bytes, upload_time)
    tenancy = Tenancy(database)
    credentials, registry = await asyncio.gather(
        _introduce(settings, tenancy),
        load_registry(discover_apps("usina.apps"), settings.runners),
    )
    alive = max(settings.lease, timedelta(seconds=3 * settings.heartbeat_seconds))
    dispatch = LocalDispatch()
    limits = Limits(settings.max_timeout_seconds)
    worker = await _make_worker(ground, registry, artifacts, credentials.organization_id)
    dispatch.attach(worker)
    platform = Platform(
        settings=settings,
        clock=clock,
        database=database,
        secret=ground.secret,
        tenancy=tenancy,
        registry=registry,
        store=store,
        files=Files(database, store, clock, query.file_in_use, file_limits),
        artifacts=artifacts,
        bus=bus,
        events=EventStream(database, bus),
        idempotency=Idempotency(database, settings.idempotency_seconds),
        jobs=Jobs(database, bus, registry, artifacts, dispatch, limits, alive),
        checks=_checks(settings, database, store, worker),
    )
    await worker.start(take_over=True)
    parts.push_async_callback(worker.stop)
    _start_beat(platform, parts)
    return Embedded(platform, worker, credentials)


def _start_beat(platform: Platform, parts: contextlib.AsyncExitStack) -> None:
    settings, database = platform.settings, platform.database
    files_kept = _days(settings.retention_files_days)
    files = FileOwner(query.files_in_jobs, files_kept)
    owners = [files, UploadOwner(), ArtifactOwner(), CheckpointOwner()]
    sweep = _sweep(Sweeper(database, platform.store, owners), platform.clock)
    retention = Retention(
        _days(settings.retention_jobs_days), _days(settings.retention_events_days)
    )
    beat = Beat(database, platform.jobs, platform.artifacts, platform.idempotency, sweep, retention)
    beat.start()
    parts.push_async_callback(beat.stop)


async def _enclosed_pool(ground: _Ground, work_root: Path) -> tuple[RunnerPool, dict[str, str]]:
    """The pool, and what of the sandbox this machine allows."""
    settings, parts = ground.settings, ground.parts
    clear_leftovers(work_root)
    parts.callback(clear_leftovers, work_root)
    sandbox = Sandbox(settings.sandbox, (settings.data,), parts.enter_context(delegated_group()))
    layers = await try_sandbox(sandbox, work_root)
    if lacking := missing(sandbox, layers):
        _log.error("no program will run: USINA_SANDBOX is full and layers are missing", **lacking)
    visible = {"USINA_MAX_IMAGE_PIXELS": str(settings.max_image_pixels)}
    limits = _runner_limits(settings)
    pool = RunnerPool(
        limits=limits,
        root=work_root,
        environment=visible,
        sandbox=sandbox,
        held=settings.warm_ahead,
    )
    parts.push_async_callback(pool.close)
    return pool, layers


async def _make_worker(
    ground: _Ground, registry: Registry, artifacts: Artifacts, owner: str
) -> Worker:
    settings, bus = ground.settings, ground.bus
    work_root = settings.data / "work"
    pool, layers = await _enclosed_pool(ground, work_root)
    workshop = Workshop(
        database=ground.database,
        bus=bus,
        registry=registry,
        store=ground.store,
        artifacts=artifacts,
        pool=pool,
        endings=Batch(
            ground.database,
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
    _load_ahead(workshop, settings.warm_ahead, owner)
    options = WorkerOptions(
        queues=_QUEUES,
        slots=settings.slots,
        lease=settings.lease,
        heartbeat_seconds=settings.heartbeat_seconds,
        poll_seconds=settings.poll_seconds,
    )
    row = WorkerRow(new_id(), socket.gethostname(), settings.slots, layers)
    return Worker(workshop, row, options)


def _load_ahead(workshop: Workshop, names: Sequence[str], owner: str) -> None:
    """Warm programs before anybody asks: for all where they are shared, else for the owner."""
    for name in names:
        model = workshop.registry.get(name)
        if model is None or not model.available or model.manifest.mode != "warm":
            _log.error("USINA_WARM_AHEAD names no warm model that can run here", model=name)
            continue
        workshop.pool.ahead(model.manifest, owner, workshop.cores)


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


def _runner_limits(settings: Settings) -> RunnerLimits:
    return RunnerLimits(
        log_bytes=settings.max_log_bytes,
        artifacts=settings.max_artifacts,
        processes=settings.max_processes,
        file_bytes=settings.max_file_bytes,
        open_files=settings.max_open_files,
        disk_bytes=settings.max_work_bytes,
        files=settings.max_work_files,
        warm_idle_seconds=settings.warm_idle_seconds,
        warm_jobs=settings.warm_jobs,
        warm_count=settings.warm_count,
        warm_bytes=settings.warm_bytes,
        warm_growth=settings.warm_growth,
    )


def _checks(
    settings: Settings, database: SqliteDatabase, store: Store, worker: Worker
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
