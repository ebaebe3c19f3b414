"""A worker and all that its jobs need on this machine."""

import contextlib
import fcntl
import os
import shutil
import socket
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import structlog

from usina.ground import Ground
from usina.kernel.artifacts.service import Artifacts
from usina.kernel.db.batch import Batch
from usina.kernel.dispatch.hint import attend
from usina.kernel.events.bus import end_topic
from usina.kernel.ids import new_id
from usina.kernel.jobs.reuse import EarlierResults
from usina.kernel.jobs.store.ending import finish
from usina.kernel.jobs.store.lease import WorkerRow
from usina.kernel.registry import Registry
from usina.kernel.runners.cgroup import delegated_group
from usina.kernel.runners.identity import Identities
from usina.kernel.runners.pool import RunnerLimits, RunnerPool, Sandbox, clear_leftovers
from usina.kernel.runners.stash import FolderStash
from usina.kernel.runners.trial import missing, try_sandbox
from usina.kernel.worker.attempt import Workshop
from usina.kernel.worker.gpu.cards import Cards
from usina.kernel.worker.machine import this_machine
from usina.kernel.worker.option import WorkerOptions
from usina.kernel.worker.reuse import Reuse
from usina.kernel.worker.worker import Worker
from usina.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_RESCUE_SECONDS: Final = 0.4
_LEASE_LOOK_SECONDS: Final = 5.0


async def make_worker(
    ground: Ground,
    registry: Registry,
    work_root: Path,
    queues: Sequence[str],
    *,
    grace_seconds: float,
    holds_session: bool = False,
) -> Worker:
    """A worker that is told what the bus hears; it is started and stopped by whoever made it.

    ``work_root`` is its own: what a dead worker left there goes. ``holds_session`` says that its
    death will be told by the end of a session of the database.
    """
    settings = ground.settings
    machine = this_machine(settings.slots, settings.memory_bytes, settings.gpus)
    cards = Cards(machine.gpus)
    ground.parts.callback(cards.close)
    pool, layers = await _enclosed_pool(ground, work_root, cards)
    options = WorkerOptions(
        queues=tuple(queues),
        machine=machine,
        lease=settings.lease,
        heartbeat_seconds=settings.heartbeat_seconds,
        poll_seconds=settings.poll_seconds,
        grace_seconds=grace_seconds,
        rescue_seconds=_RESCUE_SECONDS if holds_session else _LEASE_LOOK_SECONDS,
        gpu_seconds=settings.gpu_seconds,
    )
    row = WorkerRow(
        new_id(),
        socket.gethostname(),
        machine.room,
        tuple(queues),
        layers,
        holds_session,
        registry.reasons(),
    )
    worker = Worker(_workshop(ground, registry, work_root, pool, cards), row, options)
    attend(ground.bus, worker)
    return worker


def _workshop(
    ground: Ground, registry: Registry, work_root: Path, pool: RunnerPool, cards: Cards
) -> Workshop:
    settings, bus = ground.settings, ground.bus
    artifacts = Artifacts(ground.database, ground.store, ground.clock)
    return Workshop(
        database=ground.database,
        bus=bus,
        registry=registry,
        store=ground.store,
        artifacts=artifacts,
        pool=pool,
        endings=Batch(
            ground.database.write,
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
        quotas=ground.quotas,
        cards=cards,
        reuse=Reuse(EarlierResults(ground.database, artifacts), Identities(), registry, pool),
    )


def load_ahead(worker: Worker, names: Sequence[str], owner: str | None) -> None:
    """Warm programs before anybody asks: for all where they are shared, else for the owner."""
    for name in names:
        if not worker.load_ahead(name, owner):
            _log.error("USINA_WARM_AHEAD names no warm model that can run here", model=name)


@contextlib.contextmanager
def own_place(data: Path) -> Generator[Path]:
    """A folder for one of several workers of this machine, below ``data/workers``.

    Its lock is held while it is used. Folders of workers that are gone are cleared on the way in,
    with whatever their programs left running.
    """
    places = data / "workers"
    place = places / new_id()
    places.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as held:
        with _locked(places / "lock", wait=True):  # nobody clears a place before it is locked
            _clear_abandoned(places)
            place.mkdir(mode=0o700)
            held.enter_context(_locked(place / "lock"))
        yield place / "work"
        shutil.rmtree(place, ignore_errors=True)


def _clear_abandoned(places: Path) -> None:
    for place in filter(Path.is_dir, places.iterdir()):
        with _locked(place / "lock") as abandoned:
            if abandoned:
                clear_leftovers(place / "work")
                shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool = False) -> Generator[bool]:
    """Whether the lock is ours until the end; false when somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


async def _enclosed_pool(
    ground: Ground, work_root: Path, cards: Cards
) -> tuple[RunnerPool, dict[str, str]]:
    """The pool, and what of the sandbox this machine allows."""
    settings, parts = ground.settings, ground.parts
    clear_leftovers(work_root)
    parts.callback(clear_leftovers, work_root)
    sandbox = Sandbox(settings.sandbox, (settings.data,), parts.enter_context(delegated_group()))
    layers = await try_sandbox(sandbox, work_root)
    if lacking := missing(sandbox, layers):
        _log.error("no program will run: USINA_SANDBOX is full and layers are missing", **lacking)
    pool = RunnerPool(
        limits=_runner_limits(settings),
        root=work_root,
        environment={"USINA_MAX_IMAGE_PIXELS": str(settings.max_image_pixels)},
        sandbox=sandbox,
        held=settings.warm_ahead,
        devices=cards,
    )
    parts.push_async_callback(pool.close)
    return pool, layers


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
