"""What works on this machine and what does not, each with its fix."""

import asyncio
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from usina.catalogue import homes_of, registry_of
from usina.install.lack import lacks
from usina.kernel.errors import Unavailable
from usina.kernel.runners.cgroup import delegated_group
from usina.kernel.runners.sandbox import Sandbox
from usina.kernel.runners.trial import missing, try_sandbox
from usina.kernel.storage.s3_address import S3Place
from usina.kernel.worker.gpu.cards import Cards
from usina.kernel.worker.machine import Machine, this_machine
from usina.settings import Settings, variable_of
from usina.storage import s3_access, store_url

_SKEW_SECONDS: Final = 30
_DATABASE_SKEW_SECONDS: Final = 2.0
_PATIENCE: Final = 5.0
_OLDEST_POSTGRES: Final = 150_000
_LOW_DISK_BYTES: Final = 2 * 1024**3
_LISTS: Final = {
    *("warm_ahead", "webhook_allowed_networks", "cors_origins", "trusted_proxies"),
    *("territories", "accept_terms"),
}
_PASSWORD: Final = re.compile(r"(?<=:)[^:/@]*(?=@)")
"""In an address, between the user and the host."""

_NAMESPACES: Final = "Allow this user namespaces, or run only programs you trust."
_WITHOUT: Final = {
    "cgroup": "Nothing is missing: memory and processes are watched instead.",
    "pid_namespace": _NAMESPACES,
    "ipc_namespace": _NAMESPACES,
    "network_namespace": _NAMESPACES,
    "mount_namespace": _NAMESPACES,
    "privileges": "Run only programs you trust.",
    "landlock": "Use Linux 5.13 or newer with landlock, or run only programs you trust.",
    "seccomp": "Use x86-64 or 64-bit ARM, or run only programs you trust.",
}
"""What to do about a layer that is off."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: ``ok`` is null for a warning; ``fix`` is empty where nothing is wrong."""

    area: str
    name: str
    ok: bool | None
    detail: str
    fix: str = ""


def diagnose(settings: Settings) -> list[Check]:
    """Every check, the platform's own first. Changes nothing but makes the data folder."""
    machine = this_machine(settings.slots, settings.memory_bytes, settings.gpus)
    cards = Cards(machine.gpus)
    with closing(cards):
        asyncio.run(cards.begin(since_boot=True))
        return [
            *_platform(settings),
            *_sandbox(settings),
            *_gpus(cards),
            *_models(settings, machine, [cards.size(id_) for id_ in cards.ids]),
        ]


def settings_in_force(settings: Settings) -> list[tuple[str, str]]:
    """Every setting as its variable and its value, secrets masked."""
    shown: list[tuple[str, str]] = []
    for name in Settings.model_fields:
        value: object = getattr(settings, name)
        if isinstance(value, SecretStr):
            text = "********"
        elif name == "runners":
            text = os.pathsep.join(str(folder) for folder in settings.runners)
        elif name in _LISTS:
            several: tuple[object, ...] = getattr(settings, name)
            text = ",".join(str(each) for each in several)
        else:
            text = "" if value is None else _PASSWORD.sub("********", str(value))
        shown.append((variable_of(name), text))
    return shown


def _platform(settings: Settings) -> Iterator[Check]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Check("platform", "python", True, version)
    yield _data_folder(settings.data)
    yield _disk(settings.data)
    yield _database()
    yield _clock()
    yield from _bucket(settings)
    yield from _database_server(settings)
    yield from _redis(settings)


def _data_folder(folder: Path) -> Check:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Check(
            "platform",
            "data folder",
            False,
            f"{folder}: {error.strerror}",
            "Give a folder that you may write with --data or USINA_DATA.",
        )
    return Check("platform", "data folder", True, str(folder))


def _disk(folder: Path) -> Check:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 1024**3:.1f} GiB free"
    if free < _LOW_DISK_BYTES:
        return Check(
            "platform", "disk", None, detail, "Free some space; jobs stop when it is full."
        )
    return Check("platform", "disk", True, detail)


def _bucket(settings: Settings) -> Iterator[Check]:
    """Whether the store's server lets us in, and how far its clock is from ours."""
    access, url = s3_access(settings), store_url(settings)
    if access is None or not url.startswith("s3://"):
        return
    from usina.kernel.storage.s3 import S3Store
    from usina.kernel.storage.s3_calls import Patience

    where = f"{url} at {access.url}"
    try:
        store = S3Store(S3Place.of(url), access, Patience(2, 5, ()))
    except Unavailable as error:
        why = f" ({error.__cause__})" if error.code == "storage_unavailable" else ""
        fix = "Start the server, or set S3_ENDPOINT_URL, S3_ACCESS_KEY and S3_SECRET_KEY right."
        yield Check("platform", "bucket", False, f"{where}: {error.detail}{why}", fix)
        return
    with closing(store):
        yield Check("platform", "bucket", True, f"{where}; clients reach it at {access.public_url}")
        yield _skew((store.opened_at - datetime.now(UTC)).total_seconds())


def _skew(seconds: float) -> Check:
    """Times are whole seconds there, and signatures of 15 minutes ago are refused."""
    apart = abs(round(seconds))
    if apart < _SKEW_SECONDS:
        return Check("platform", "bucket's clock", True, "as ours")
    way = "ahead of" if seconds > 0 else "behind"
    detail = f"{apart} s {way} ours"
    return Check("platform", "bucket's clock", None, detail, "Let both machines follow NTP.")


def _database() -> Check:
    if sqlite3.sqlite_version_info < (3, 35):
        return Check(
            "platform",
            "sqlite",
            False,
            sqlite3.sqlite_version,
            "Use a Python that was built with SQLite 3.35 or newer.",
        )
    return Check("platform", "sqlite", True, sqlite3.sqlite_version)


def _database_server(settings: Settings) -> Iterator[Check]:
    """The PostgreSQL of a distributed platform: whether it answers, its schema and its clock."""
    if settings.database_url is None:
        return
    from usina.kernel.db.migrations import HEAD
    from usina.kernel.db.postgres import look_at_postgres

    try:
        found = asyncio.run(asyncio.wait_for(look_at_postgres(settings.database_url), _PATIENCE))
    except Exception as error:
        why = f"it does not answer ({type(error).__name__})"
        fix = "Start it, or correct DATABASE_URL: host, port, user, password, name."
        yield Check("service", "database", False, why, fix)
        return
    detail = f"PostgreSQL {found.version // 10_000}, revision {found.revision or 'none'}"
    if found.version < _OLDEST_POSTGRES:
        yield Check("service", "database", False, detail, "Use PostgreSQL 15 or newer.")
    elif found.revision != HEAD:
        fix = f"This build needs revision {HEAD}: run `usina db upgrade`."
        yield Check("service", "database", False, detail, fix)
    else:
        yield Check("service", "database", True, detail)
    if abs(found.ahead_seconds) > _DATABASE_SKEW_SECONDS:
        fix = "Let both machines follow a time server."
        yield Check("service", "database clock", None, f"{found.ahead_seconds:+.1f} s of ours", fix)


def _redis(settings: Settings) -> Iterator[Check]:
    """The Redis of a distributed platform: whether it answers, and that it drops nothing."""
    if settings.redis_url is None and settings.redis_host is None:
        return
    from usina.ground import redis_of
    from usina.kernel.redis import look_at_redis

    try:
        version, policy = look_at_redis(redis_of(settings))
    except Exception as error:
        why = f"it does not answer ({type(error).__name__})"
        fix = "Start it, or correct REDIS_URL; until then every job begins some seconds late."
        yield Check("service", "redis", None, why, fix)
        return
    detail = f"Redis {version}, {policy}"
    if policy != "noeviction":
        fix = "Set its maxmemory-policy to noeviction, or messages are dropped when it is full."
        yield Check("service", "redis", None, detail, fix)
    else:
        yield Check("service", "redis", True, detail)


def _clock() -> Check:
    if time.time() < 1_700_000_000:
        return Check("platform", "clock", None, time.ctime(), "Set the clock of this machine.")
    return Check("platform", "clock", True, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def _sandbox(settings: Settings) -> Iterator[Check]:
    """Each layer as a program that was started just now found it: only what is on is called on."""
    with delegated_group() as group, tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(settings.sandbox, (settings.data,), group)
        layers = asyncio.run(try_sandbox(sandbox, Path(folder)))
    lacking = missing(sandbox, layers)
    for name, why in layers.items():
        shown = name.replace("_", " ")
        if not why:
            yield Check("sandbox", shown, True, "on")
        elif name in lacking:
            fix = "USINA_SANDBOX is full, so no program runs: allow it, or set auto."
            yield Check("sandbox", shown, False, f"off: {why}", fix)
        else:
            yield Check("sandbox", shown, None, f"off: {why}", _WITHOUT[name])


def _gpus(cards: Cards) -> Iterator[Check]:
    """Those that a worker here would lend, and whether they are well."""
    for card in cards.told():
        memory = card["memory_bytes"]
        size = f"{memory / 1024**3:.1f} GiB" if memory else "of unknown memory"
        detail = f"{card['name'] or 'unknown to nvidia-smi'}, {size}"
        if card["reason"] is None:
            yield Check("gpu", card["id"], True, detail)
        else:
            fix = (
                f"Reset it (nvidia-smi --gpu-reset -i {card['id']}), else restart the machine; if "
                "that does not help, it has to be looked at. dmesg | grep Xid says more."
            )
            yield Check("gpu", card["id"], None, f"{detail}: {card['reason']}", fix)
    if cards.log_refused is not None:
        detail = f"not read ({cards.log_refused}): Xid errors are not seen, all else is"
        yield Check("gpu", "kernel log", True, detail)


def _models(settings: Settings, machine: Machine, gpu_bytes: Sequence[int]) -> Iterator[Check]:
    registry = asyncio.run(registry_of(settings))
    for problem in registry.problems:
        yield Check("model", "runner folder", False, problem, "Correct the manifest or remove it.")
    homes = {**homes_of(settings), **os.environ}
    for model in registry.all():
        detail = f"{model.version}, {model.license}"
        found = lacks(model, settings.data, homes, machine, gpu_bytes)
        stopped = not model.available or any(each.stops for each in found)
        if not found:
            yield Check("model", model.name, True, detail)
        for each in found:
            told = detail if each.what == each.fix else f"{detail}: {each.what}"
            yield Check("model", model.name, False if stopped else None, told, each.fix)
