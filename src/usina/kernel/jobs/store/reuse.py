"""Earlier results of the same work: which job of an organization made what another asks for."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.store import with_content
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.store.claim import Lease
from usina.kernel.jobs.store.ending import Ending
from usina.kernel.jobs.store.row import job_of
from usina.kernel.jobs.table import RECIPE_KNOWN, jobs
from usina.kernel.tenancy.caller import owned_by

_CANDIDATES: Final = 20


@dataclass(frozen=True, slots=True)
class Earlier:
    """A success of the same recipe, with all that it made but its log; small files with content."""

    job: Job
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True)
class Copied:
    """An earlier success, whose ``artifacts`` are another job's now, but without rows."""

    first: Job
    artifacts: tuple[Artifact, ...]
    recipe: str

    def ending(self, lease: Lease) -> Ending:
        """The success of the job that they were copied for."""
        return Ending(
            lease,
            None,
            artifacts=self.artifacts,
            stage=self.first.stage,
            gates=self.first.gates,
            recipe=self.recipe,
            reused_from=self.first.id,
        )


def earlier(
    tx: Transaction, organization_id: str, recipe: str, *, strict: bool = False
) -> Earlier | None:
    """The job to take results from, rather one that ran itself, rather a new one; null without any.

    All its artifacts are there. With ``strict`` it has passed every gate.
    """
    query = (
        sa.select(jobs)
        .where(owned_by(organization_id, jobs), RECIPE_KNOWN, jobs.c.recipe == recipe)
        .where(jobs.c.status == "SUCCEEDED")
        .order_by(jobs.c.reused_from.is_not(None), jobs.c.id.desc())
        .limit(_CANDIDATES)
    )
    for row in tx.execute(query).all():
        job = job_of(row)
        if strict and not all(gate.ok for gate in job.gates):
            continue
        made = with_content(tx, job.id)
        if made is not None:
            return Earlier(job, tuple(each for each in made if each.kind != "log"))
    return None
