"""What must hold after any kill, once the platform has drained: read from outside.

Each check reads the database file, the store's folder and /proc, never the platform's own word.
"""

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path

from tests.torture.platform import descendants_with

TERMINAL = {"SUCCEEDED": "job.succeeded", "FAILED": "job.failed", "CANCELLED": "job.cancelled"}


def violations(data: Path, acknowledged: set[str], deleted: set[str], *, alive: bool) -> list[str]:
    """Every invariant that is broken, in words; an empty list is the proof."""
    path = f"file:{data / 'usina.sqlite'}?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
        return [
            *_jobs(database, acknowledged, deleted),
            *_logs(database),
            *_objects(database, data / "store"),
            *_leftovers(data, alive=alive),
        ]


def _jobs(database: sqlite3.Connection, acknowledged: set[str], deleted: set[str]) -> list[str]:
    rows = dict(database.execute("SELECT id, status FROM jobs"))
    lost = [f"accepted job {job} is gone" for job in acknowledged - deleted if job not in rows]
    unfinished = [f"job {job} is {state}" for job, state in rows.items() if state not in TERMINAL]
    leases = database.execute("SELECT id FROM jobs WHERE lease_token IS NOT NULL")
    return [*lost, *unfinished, *(f"ended job {job} holds a lease" for (job,) in leases)]


def _logs(database: sqlite3.Connection) -> list[str]:
    """``seq`` is 1..n, the first is queued, the last is the ending, one ending an opening."""
    wrong: list[str] = []
    statuses = dict(database.execute("SELECT id, status FROM jobs"))
    for job, status in statuses.items():
        events = list(
            database.execute("SELECT seq, type FROM events WHERE job_id = ? ORDER BY seq", (job,))
        )
        if [seq for seq, _ in events] != list(range(1, len(events) + 1)):
            wrong.append(f"job {job} has a gap: {events}")
        types = [kind for _, kind in events]
        if types[:1] != ["job.queued"] or types[-1] != TERMINAL.get(status):
            wrong.append(f"job {job} is {status} and its log is {types}")
        endings = [at for at, kind in enumerate(types) if kind in TERMINAL.values()]
        if any(types[at + 1] != "job.retrying" for at in endings[:-1]):
            wrong.append(f"job {job} ended twice: {types}")
    strangers = database.execute(
        "SELECT count(*) FROM events WHERE job_id IS NOT NULL"
        " AND job_id NOT IN (SELECT id FROM jobs)"
    ).fetchone()[0]
    return [*wrong, *([f"{strangers} events of no job"] if strangers else [])]


def _objects(database: sqlite3.Connection, store: Path) -> list[str]:
    """Rows and objects are the same set, and the bytes are what the rows say."""
    rows = {
        f"artifacts/{organization}/{job}/{artifact}": (size, sha256)
        for artifact, organization, job, size, sha256 in database.execute(
            "SELECT id, organization_id, job_id, size_bytes, sha256 FROM artifacts"
            " WHERE content IS NULL"
        )
    }
    rows |= {
        f"files/{organization}/{file}": (size, sha256)
        for file, organization, size, sha256 in database.execute(
            "SELECT id, organization_id, size_bytes, sha256 FROM files WHERE status = 'ready'"
        )
    }
    rows |= {
        f"checkpoints/{organization}/{job}/{checkpoint}": (size, sha256)
        for checkpoint, organization, job, size, sha256 in database.execute(
            "SELECT id, organization_id, job_id, size_bytes, sha256 FROM checkpoints"
        )
    }
    objects = {
        path.relative_to(store).as_posix(): path
        for path in store.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    wrong = [f"orphan object {key}" for key in objects.keys() - rows.keys()]
    wrong += [f"row without object {key}" for key in rows.keys() - objects.keys()]
    for key in objects.keys() & rows.keys():
        try:
            data = objects[key].read_bytes()
        except FileNotFoundError:
            wrong.append(f"object {key} went away while it was looked at")
            continue
        if (len(data), hashlib.sha256(data).hexdigest()) != rows[key]:
            wrong.append(f"object {key} is not what its row says")
    return wrong


def _leftovers(data: Path, *, alive: bool) -> list[str]:
    found = os.walk(data / "work")  # which passes by what goes meanwhile
    left = [Path(folder, name) for folder, below, files in found for name in below + files]
    wrong = [f"{path} was left" for path in left if not (alive and _is_kept(path))]
    if not alive:
        wrong += [f"process left: {line}" for line in descendants_with(str(data))]
    return wrong


def _is_kept(path: Path) -> bool:
    """While the platform lives it keeps emptied folders, and the homes of warm programs."""
    return path.is_dir() or path.name == "job.json"
