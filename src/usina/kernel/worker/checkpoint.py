"""Checkpoints of an attempt: brought in before it, kept while it runs, dropped by its success."""

import os
import re
from typing import Final

import structlog

from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Problem
from usina.kernel.failpoints import reach
from usina.kernel.ids import new_id
from usina.kernel.jobs import checkpoint
from usina.kernel.jobs.checkpoint import Checkpoint
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.runners.work import WorkFolder
from usina.kernel.storage import plain_file
from usina.kernel.storage.store import Store

FOLDER: Final = "checkpoint"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Checkpoints:
    """Those of one attempt."""

    def __init__(self, database: Database, store: Store, job: Job, lease: Lease) -> None:
        self._database = database
        self._store = store
        self._job = job
        self._lease = lease
        self.used = False
        """The job has a checkpoint, by an earlier attempt or by this one."""

    async def bring(self, work: WorkFolder) -> str | None:
        """Puts what the last attempt saved into the work folder; returns its path there.

        Null when there is none, also when its bytes are gone or damaged: the job then starts anew.
        """
        if self._job.attempt == 1:
            return None
        found = await self._database.read(lambda tx: checkpoint.find(tx, self._job.id))
        if found is None:
            return None
        self.used = True
        target = work.path / FOLDER / found.name
        target.parent.mkdir(0o700)
        try:
            await self._store.fetch(found.key, target, found.sha256)
        except Problem as problem:
            _log.warning("checkpoint not usable", job_id=self._job.id, reason=problem.code)
            return None
        return f"{FOLDER}/{found.name}"

    async def keep(self, told: str, descriptor: int) -> None:
        """Stores the open file, then makes it the job's checkpoint while the lease stands."""
        name = told if _PLAIN_NAME.fullmatch(told) else "checkpoint"
        job = self._job

        def put() -> Checkpoint:
            checkpoint_id = new_id()
            fresh = Checkpoint(checkpoint_id, job.organization_id, job.id, job.attempt, name, 0, "")
            try:
                digest = plain_file.put(self._store, fresh.key, held)
            finally:
                os.close(held)
            ids = (fresh.id, fresh.organization_id, fresh.job_id, fresh.attempt, fresh.name)
            return Checkpoint(*ids, digest.size_bytes, digest.sha256)

        held = os.dup(descriptor)  # the thread's own: a cancelled call closes the other
        try:
            new = await self._store.run(put)
        except (OSError, Problem) as error:
            _log.warning("checkpoint not kept", job_id=job.id, error=str(error))
            return
        reach("checkpoint.after_put")
        over = await self._database.write(lambda tx: checkpoint.keep(tx, self._lease, new))
        self.used = self.used or over != new.key
        if over is not None:
            await self._store.run(lambda: self._store.delete([over]))

    async def drop(self) -> None:
        """After the success: nobody goes on from here."""
        if not self.used:
            return
        keys = await self._database.write(lambda tx: checkpoint.forget(tx, [self._job.id]))
        await self._store.run(lambda: self._store.delete(keys))
