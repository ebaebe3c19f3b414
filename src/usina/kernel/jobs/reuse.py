"""Earlier results for a job of the same work: found and copied, whoever ends the job by them."""

from dataclasses import dataclass

import structlog

from usina.kernel.artifacts.service import Artifacts
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Problem
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.store.reuse import Copied, earlier
from usina.kernel.jobs.store.source import Inputs
from usina.kernel.runners.identity import recipe_of
from usina.kernel.runners.manifest import Manifest
from usina.kernel.storage.store import ObjectMissing

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


def recipe_for(job: Job, manifest: Manifest, identity: str, inputs: Inputs) -> str:
    """What the result of the job follows from where its program is the one of that identity."""
    told = {name: [(s.sha256, s.media_type) for s in files] for name, files in inputs.items()}
    return recipe_of(manifest, identity, job.params, told)


class ResultLost(Exception):
    """There is an earlier result, and it can not be copied now; the message says why."""


@dataclass(frozen=True, slots=True)
class EarlierResults:
    """Those of an organization, for others of its jobs."""

    database: Database
    artifacts: Artifacts

    async def copied(self, job: Job, recipe: str) -> Copied | None:
        """The artifacts of an earlier success, copied for the job; null where there is none.

        The first may be deleted at any moment: until the copies are whole nothing counts, and
        then they are this job's own. Raises `ResultLost`.
        """
        found = await self.database.read(
            lambda tx: earlier(tx, job.organization_id, recipe, strict=job.strict),
            tenant=job.organization_id,
        )
        if found is None:
            return None
        try:
            copies = await self.artifacts.copy(found.artifacts, job.id, job.attempt)
        except (ObjectMissing, Problem) as trouble:
            _log.info("earlier result can not be copied", job_id=job.id, why=str(trouble))
            raise ResultLost(str(trouble)) from trouble
        return Copied(found.job, tuple(copies), recipe)
