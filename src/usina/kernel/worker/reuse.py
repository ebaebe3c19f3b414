"""Results that are there already, as the worker sees it whose turn it is to run the job; and what
it tells others of its programs."""

from collections.abc import Mapping
from dataclasses import dataclass

from usina.kernel.jobs.job import Job
from usina.kernel.jobs.reuse import EarlierResults, ResultLost, recipe_for
from usina.kernel.jobs.store.claim import Claimed
from usina.kernel.jobs.store.ending import Ending
from usina.kernel.jobs.store.source import Inputs
from usina.kernel.registry import Registry
from usina.kernel.runners.identity import Identities
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import RunnerPool


@dataclass(frozen=True, slots=True)
class Reuse:
    """What a worker knows of equal work."""

    results: EarlierResults
    identities: Identities
    registry: Registry
    pool: RunnerPool

    async def recipe(self, job: Job, manifest: Manifest, inputs: Inputs) -> str | None:
        """What the job's result follows from; null where it is not the same each time."""
        identity = await self._identity(manifest) if manifest.deterministic else None
        return None if identity is None else recipe_for(job, manifest, identity, inputs)

    async def ending(self, claimed: Claimed, recipe: str) -> Ending | None:
        """The job's success with an earlier one's artifacts; null when it has to run."""
        try:
            found = await self.results.copied(claimed.job, recipe)
        except ResultLost:
            return None
        return None if found is None else found.ending(claimed.lease)

    async def programs(self) -> Mapping[str, str]:
        """By each deterministic model that can run here the identity of its program, and nothing
        where it has none."""
        served = map(self.registry.get, sorted(self.registry.served()))
        manifests = [model.manifest for model in served if model is not None]
        return {
            manifest.name: await self._identity(manifest) or ""
            for manifest in manifests
            if manifest.deterministic
        }

    async def _identity(self, manifest: Manifest) -> str | None:
        said = self.registry.said(manifest.name)
        return await self.identities.of(manifest, self.pool.passed(manifest), said)
