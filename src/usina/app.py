"""The front door: builds the platform out of its parts.

The only file that knows them all. :func:`embedded` is everything in one process; a distributed
platform has processes that hold a :func:`platform_on` each, with a worker or the clockwork or
neither.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

import structlog

from usina.catalogue import registry_of
from usina.data_folder import (
    Credentials,
    locked,
    read_credentials,
    write_credentials,
)
from usina.ground import Ground, embedded_ground
from usina.identity import doors_on
from usina.kernel.artifacts.owner import ArtifactOwner
from usina.kernel.artifacts.service import Artifacts
from usina.kernel.beat import Beat, Retention, Turn
from usina.kernel.clock import Clock
from usina.kernel.db import meta
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.dispatch.hint import BusDispatch
from usina.kernel.events.stream import EventStream
from usina.kernel.files.limit import FileLimits
from usina.kernel.files.owner import FileOwner, UploadOwner, UsedByJobs
from usina.kernel.files.service import Files
from usina.kernel.idempotency.service import Idempotency
from usina.kernel.jobs.answer import Answers
from usina.kernel.jobs.checkpoint import CheckpointOwner
from usina.kernel.jobs.queue import Queues
from usina.kernel.jobs.quota import JobQuotas
from usina.kernel.jobs.reuse import EarlierResults
from usina.kernel.jobs.schedule.service import Schedules
from usina.kernel.jobs.service import Dispatch, Jobs
from usina.kernel.jobs.store import query
from usina.kernel.jobs.validation import Limits
from usina.kernel.jobs.worker import Workers
from usina.kernel.platform import Platform
from usina.kernel.queue import QUEUES
from usina.kernel.readiness import Check, Readiness
from usina.kernel.registry import App, Registry, loaded
from usina.kernel.storage.sweep import Sweeper
from usina.kernel.tenancy.audit import AuditLog
from usina.kernel.tenancy.service import Tenancy
from usina.kernel.webhooks.service import Webhooks
from usina.kernel.worker.worker import Worker
from usina.outbound import documents_of, reach_of, start_delivering
from usina.settings import Settings
from usina.upkeep import seed_in
from usina.workforce import load_ahead, make_worker

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_OWNER: Final = "owner@localhost"
_SWEEP_GRACE: Final = timedelta(hours=1)
_LOOK_SECONDS: Final = 2.0
_MOST_GRACE_SECONDS: Final = 0.5
"""An embedded platform is gone within ten seconds, whatever else has to end."""


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
            yield await _embed(await embedded_ground(settings, clock, parts))


async def _embed(ground: Ground) -> Embedded:
    settings = ground.settings
    credentials, registry = await asyncio.gather(
        _introduce(settings, Tenancy(ground.database)), registry_of(settings)
    )
    work_root = settings.data / "work"
    grace_seconds = min(settings.grace_seconds, _MOST_GRACE_SECONDS)
    worker = await make_worker(ground, registry, work_root, QUEUES, grace_seconds=grace_seconds)
    turning = {"worker": Check(turns(worker))}
    platform = platform_on(ground, registry, BusDispatch(ground.bus), turning)
    load_ahead(worker, settings.warm_ahead, credentials.organization_id)
    await worker.start(take_over=True)
    ground.parts.push_async_callback(worker.stop)
    await start_delivering(ground, alone=True)
    beat = beat_of(platform, alone=True)
    beat.start(beat.turns)
    ground.parts.push_async_callback(beat.stop)
    return Embedded(platform, worker, credentials)


def platform_on(
    ground: Ground, registry: Registry, dispatch: Dispatch, more: Mapping[str, Check]
) -> Platform:
    """The hall, without anybody at work in it; ``more`` is what else this process depends on."""
    settings, clock, database, store = ground.settings, ground.clock, ground.database, ground.store
    artifacts = Artifacts(database, store, clock)
    quotas = JobQuotas(database, ground.quotas)
    files = _files_on(ground, quotas)
    alive = settings.alive
    reach = reach_of(settings)
    limits = Limits(settings.max_timeout_seconds, reach)
    webhooks = Webhooks(database, ground.bus, reach, documents_of(settings), ground.secret)
    doors = doors_on(ground)
    results = EarlierResults(database, artifacts)
    answers = Answers(database, ground.bus, registry, results, alive)
    ground.parts.push_async_callback(answers.close)
    return Platform(
        settings=settings,
        clock=clock,
        database=database,
        secret=ground.secret,
        gate=doors.gate,
        tenancy=Tenancy(database),
        accounts=doors.accounts,
        api_keys=doors.api_keys,
        organizations=doors.organizations,
        members=doors.members,
        invitations=doors.invitations,
        audit=AuditLog(database),
        attempts=doors.attempts,
        meter=doors.meter,
        registry=registry,
        store=store,
        files=files,
        artifacts=artifacts,
        bus=ground.bus,
        events=EventStream(database, ground.bus),
        idempotency=Idempotency(database, settings.idempotency_seconds),
        jobs=Jobs(
            *(database, ground.bus, registry, artifacts, files.uploads, dispatch, limits, alive),
            *(quotas, webhooks.hand_over, answers),
        ),
        workers=Workers(database, ground.bus, alive),
        queues=Queues(database, dispatch, registry, alive),
        schedules=Schedules(database, registry, limits),
        webhooks=webhooks,
        readiness=Readiness({**_own_checks(ground), **more}),
    )


def _files_on(ground: Ground, quotas: JobQuotas) -> Files:
    settings = ground.settings
    upload_time = timedelta(seconds=settings.upload_seconds)
    limits = FileLimits(settings.max_upload_bytes, upload_time, quotas.keep_room)
    return Files(ground.database, ground.store, ground.clock, query.file_in_use, limits)


def beat_of(platform: Platform, *, alone: bool = False) -> Beat:
    """The clockwork; ``alone`` says that nobody else writes into the store when it begins."""
    settings, database = platform.settings, platform.database
    files_kept = _days(settings.retention_files_days)
    files = FileOwner(_kept_by(platform.registry.apps), files_kept)
    owners = [files, UploadOwner(), ArtifactOwner(), CheckpointOwner()]
    settle = platform.files.uploads.settle_late
    sweeper = Sweeper(database, platform.store, owners, settle)
    grace = timedelta(0) if alone else _SWEEP_GRACE

    async def sweep() -> None:
        nonlocal grace
        report = await sweeper.sweep(grace)
        grace = _SWEEP_GRACE
        _log.info("store swept", **asdict(report))

    retention = Retention(
        _days(settings.retention_jobs_days),
        _days(settings.retention_events_days),
        _days(settings.retention_deliveries_days),
    )
    rooms: dict[str, Turn] = {}
    for room in platform.registry.apps:
        if room.beat is not None:
            rooms |= loaded(room.beat)(platform)
    return Beat(
        database, platform.jobs, platform.artifacts, platform.idempotency, sweep, retention, rooms
    )


def _kept_by(rooms: Sequence[App]) -> UsedByJobs:
    """Which files stay however old they are: those that jobs name, or a room."""
    kept = [query.files_in_jobs, *(loaded(room.files) for room in rooms if room.files)]

    def used(tx: Transaction, file_ids: Sequence[str]) -> set[str]:
        return set[str]().union(*(each(tx, file_ids) for each in kept))

    return used


def turns(worker: Worker) -> Callable[[], Awaitable[str]]:
    """Whether the worker of this process is at work."""

    async def look() -> str:
        return "ok" if worker.alive() else "its loops have stopped"

    return look


def _own_checks(ground: Ground) -> dict[str, Check]:
    async def database_answers() -> str:
        async with asyncio.timeout(_LOOK_SECONDS):
            await ground.database.read(meta.epoch)
        return "ok"

    async def store_answers() -> str:
        async with asyncio.timeout(_LOOK_SECONDS):
            await asyncio.to_thread(ground.store.check)
        return "ok"

    return {"database": Check(database_answers), "storage": Check(store_answers)}


async def _introduce(settings: Settings, tenancy: Tenancy) -> Credentials:
    """The first owner's credentials: kept from the file, or new ones where it is missing."""
    report = await seed_in(settings, tenancy)
    known = read_credentials(settings.data)
    if known is not None and known.organization_id == report.organization_id:
        return known
    password = secrets.token_urlsafe(18)
    await tenancy.seed(_OWNER, password, None)
    key = await tenancy.replace_first_key(report.organization_id)
    credentials = Credentials(None, None, key, _OWNER, password, report.organization_id)
    write_credentials(settings.data, credentials)
    return credentials


def _days(days: float | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)
