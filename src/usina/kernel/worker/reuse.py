"""Results that are there already: a job that may be answered with them runs nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from usina.kernel.artifacts.service import Artifacts
from usina.kernel.db.unit_of_work import Database
from usina.kernel.errors import Problem
from usina.kernel.jobs.store.claim import Claimed
from usina.kernel.jobs.store.ending import Ending
from usina.kernel.jobs.store.reuse import earlier
from usina.kernel.jobs.store.source import Source
from usina.kernel.runners.identity import Identities, recipe_of
from usina.kernel.runners.manifest import Manifest
from usina.kernel.storage.store import ObjectMissing

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reuse:
    """What a worker knows of equal work."""

    database: Database
    artifacts: Artifacts
    identities: Identities

    async def recipe(
        self,
        claimed: Claimed,
        manifest: Manifest,
        passed: Mapping[str, str],
        inputs: Mapping[str, Sequence[Source]],
    ) -> str | None:
        """What the job's result follows from; null where it is not the same each time."""
        if not manifest.deterministic:
            return None
        identity = await self.identities.of(manifest, passed)
        if identity is None:
            return None
        told = {name: [(s.sha256, s.media_type) for s in files] for name, files in inputs.items()}
        return recipe_of(manifest, identity, claimed.job.params, told)

    async def ending(self, claimed: Claimed, recipe: str) -> Ending | None:
        """The job's success with an earlier one's artifacts, copied; null when it has to run.

        The first may be deleted at any moment: until the copies are whole nothing counts, and
        then they are this job's own.
        """
        job = claimed.job
        found = await self.database.read(
            lambda tx: earlier(tx, job.organization_id, recipe, strict=job.strict),
            tenant=job.organization_id,
        )
        if found is None:
            return None
        try:
            copies = await self.artifacts.copy(found.artifacts, job.id, job.attempt)
        except (ObjectMissing, Problem) as trouble:
            _log.info("earlier result is not there any more", job_id=job.id, why=str(trouble))
            return None
        return Ending(
            claimed.lease,
            None,
            artifacts=tuple(copies),
            stage=found.job.stage,
            gates=found.job.gates,
            recipe=recipe,
            reused_from=found.job.id,
        )
