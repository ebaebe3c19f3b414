"""What is left when all has come to rest: rows, objects, marks, histories. Checkers read this."""

import asyncio
import contextlib
import hashlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.torture.platform import descendants_with
from tests.torture.rig.cluster import Cluster
from tests.torture.rig.follower import Told
from tests.torture.rig.history import CANARY, Operation
from tests.torture.rig.member import Death
from tests.torture.rig.witness import Mark
from usina.kernel.artifacts.owner import ArtifactOwner
from usina.kernel.db.postgres import PostgresDatabase
from usina.kernel.files.owner import FileOwner, UploadOwner
from usina.kernel.jobs.checkpoint import CheckpointOwner
from usina.kernel.jobs.store import query
from usina.kernel.storage.open import open_store
from usina.kernel.storage.store import Store
from usina.kernel.storage.sweep import Sweeper

Row = dict[str, Any]
Object = tuple[int, str]
"""Size in bytes and SHA-256."""

_JOBS = """
SELECT id::text, organization_id::text, status, attempt, max_attempts, lost, last_seq,
       lease_token IS NOT NULL AS leased, labels, params, error FROM jobs ORDER BY id
"""
_EVENTS = """
SELECT position, organization_id::text, job_id::text, seq, type, at, data
FROM events WHERE job_id IS NOT NULL ORDER BY position
"""
_ARTIFACTS = """
SELECT id::text, organization_id::text, job_id::text, attempt, kind, name, size_bytes, sha256,
       content FROM artifacts
"""
_FILES = """
SELECT id::text, organization_id::text, size_bytes, sha256 FROM files WHERE status = 'ready'
"""
_CHECKPOINTS = """
SELECT id::text, organization_id::text, job_id::text, size_bytes, sha256 FROM checkpoints
"""
_CONNECTIONS = """
SELECT count(*) AS held FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Followed:
    """What one follower saw. ``job`` is null for one of the organization's whole log."""

    organization: str
    job: str | None
    channel: str
    seen: Sequence[Told]
    leak: str = ""


@dataclass
class Evidence:
    """``calm_since`` is when the last fault had healed, ``oldest_wait_seconds`` the longest that a
    job that could be claimed was seen to wait, by phase."""

    jobs: list[Row] = field(default_factory=list[Row])
    events: list[Row] = field(default_factory=list[Row])
    artifacts: list[Row] = field(default_factory=list[Row])
    named_objects: dict[str, Object] = field(default_factory=dict[str, Object])
    objects: dict[str, Object] = field(default_factory=dict[str, Object])
    marks: list[Mark] = field(default_factory=list[Mark])
    operations: list[Operation] = field(default_factory=list[Operation])
    followed: list[Followed] = field(default_factory=list[Followed])
    deaths: list[Death] = field(default_factory=list[Death])
    leftovers: list[str] = field(default_factory=list[str])
    given_up: list[str] = field(default_factory=list[str])
    leaks_in_logs: list[str] = field(default_factory=list[str])
    drained: bool = True
    calm_since: float = 0.0
    oldest_wait_seconds: float = 0.0
    swept: int = 0
    clock_offset: float = 0.0
    """From the monotonic clock to the wall's."""

    def events_of(self) -> dict[str, list[Row]]:
        """By job, in the order of the log."""
        found: dict[str, list[Row]] = {job["id"]: [] for job in self.jobs}
        for event in self.events:
            found.setdefault(event["job_id"], []).append(event)
        return found


_SETTLED_SECONDS = 4.0
"""A bucket tells whole seconds, so a sweep leaves what was written just before it came."""


async def gather_rows(cluster: Cluster, evidence: Evidence) -> None:
    """Everything that the database and the store hold, after a sweep of what kills have left."""
    await asyncio.sleep(_SETTLED_SECONDS)
    store = await asyncio.to_thread(open_store, cluster.storage_url, cluster.access)
    try:
        evidence.swept = await _sweep(cluster, store)
        evidence.objects = await asyncio.to_thread(_read_all, store)
    finally:
        store.close()
    evidence.jobs = await cluster.query(_JOBS)
    evidence.events = await cluster.query(_EVENTS)
    evidence.artifacts = await cluster.query(_ARTIFACTS)
    prefixes = {_FILES: "files", _CHECKPOINTS: "checkpoints"}
    rows = [("artifacts", row) for row in evidence.artifacts if row["content"] is None]
    for sql, prefix in prefixes.items():
        rows += [(prefix, row) for row in await cluster.query(sql)]
    evidence.named_objects = {
        "/".join(filter(None, (prefix, row["organization_id"], row.get("job_id"), row["id"]))): (
            row["size_bytes"],
            row["sha256"],
        )
        for prefix, row in rows
    }


async def look_for_leftovers(cluster: Cluster) -> list[str]:
    """Processes, folders and connections of a platform that was stopped by TERM."""
    left = [f"process {line}" for line in descendants_with(str(cluster.witness))]
    places = (cluster.folder / "data").glob("*/workers/*")
    left += [f"folder {place}" for place in places if place.is_dir()]
    [row] = await cluster.query(_CONNECTIONS)
    if row["held"]:
        left.append(f"{row['held']} connections to the database")
    return left


def leaks_in(logs: Path) -> list[str]:
    """Logs that hold a secret."""
    return [path.name for path in logs.iterdir() if CANARY in path.read_text(errors="replace")]


def descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    except OSError:
        return 0


async def _sweep(cluster: Cluster, store: Store) -> int:
    """The platform's own sweeper, now that nobody else writes; how many orphans there were."""
    database = PostgresDatabase(cluster.database_url)
    owners = [
        FileOwner(query.files_in_jobs, None),
        UploadOwner(),
        ArtifactOwner(),
        CheckpointOwner(),
    ]

    async def settle() -> None:
        """No client of this rig uploads straight to the bucket."""

    try:
        report = await Sweeper(database, store, owners, settle).sweep(timedelta(0))
    finally:
        await database.close()
    return report.orphans + report.unfinished


def _read_all(store: Store) -> dict[str, Object]:
    found: dict[str, Object] = {}
    for prefix in ("artifacts", "files", "checkpoints"):
        for stored in store.list(prefix):
            digest = hashlib.sha256()
            for chunk in store.chunks(stored.key, 0, stored.size_bytes):
                digest.update(chunk)
            found[stored.key] = (stored.size_bytes, digest.hexdigest())
    return found


def end_strays(marker: str) -> None:
    """Processes of a run that went wrong, so that nothing of it lives on."""
    for line in descendants_with(marker):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)
