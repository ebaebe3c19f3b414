"""Beds come to be: each with a job that makes its particles, or with one that has made them.

A bed, its generation and the generation's job are one commit. Beds of equal recipe share a job
within their organization, whether it has ended or still runs; so who asks for the same again has
it at once.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from usina.apps.cfd.bed import store
from usina.apps.cfd.bed.bed import Bed
from usina.apps.cfd.bed.recipe import Recipe
from usina.apps.cfd.bed.state import NO_FIGURES, BedState, Figures, Source, figures_of
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.failpoints import reach
from usina.kernel.jobs.job import Job
from usina.kernel.platform import Platform
from usina.kernel.tenancy.caller import Caller

Also = Callable[[Transaction, Sequence[BedState]], None]
"""What must be written together with the beds, told of them in their order."""

_TRIES: Final = 3


class Known(NamedTuple):
    """A job and what its report tells."""

    job: Job
    figures: Figures


class _Vanished(Exception):
    """A job that was to be shared has gone or failed meanwhile."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bed whose particles are to be made; ``write`` puts its row in place."""

    bed: Bed
    recipe: Recipe
    write: Callable[[Transaction], None]


async def make(
    platform: Platform, caller: Caller, wanted: Sequence[Wanted], also: Also
) -> Sequence[BedState]:
    """All of the beds in one commit, or none. What refuses a job refuses its bed."""
    for _ in range(_TRIES):
        try:
            return await _Making(platform, caller, wanted, also).attempt()
        except _Vanished:
            continue
    raise Conflict("A bed of the same geometry is being deleted; send the request again.")


@dataclass(frozen=True, slots=True)
class _Making:
    platform: Platform
    caller: Caller
    wanted: Sequence[Wanted]
    also: Also

    async def attempt(self) -> Sequence[BedState]:
        owner = self.caller.organization_id
        recipes = {each.recipe.hash: each.recipe for each in self.wanted}
        known = await self._known(recipes)
        new = {key: recipe for key, recipe in recipes.items() if key not in known}
        made: list[BedState] = []

        def write(tx: Transaction, jobs: Sequence[Job]) -> None:
            begun = {key: Known(job, NO_FIGURES) for key, job in zip(new, jobs, strict=True)}
            made[:] = self._write(tx, known, begun)

        if new:
            requests = [recipe.request for recipe in new.values()]
            await self.platform.jobs.submit(self.caller, requests, write)
        else:
            await self.platform.database.write(lambda tx: write(tx, ()), tenant=owner)
        reach("bed.after_commit")
        return made

    async def _known(self, recipes: Mapping[str, Recipe]) -> dict[str, Known]:
        """By recipe the jobs that make or have made it already."""
        owner = self.caller.organization_id
        found = await self.platform.database.read(
            lambda tx: store.reusable(tx, owner, recipes), tenant=owner
        )
        known: dict[str, Known] = {}
        for key, job_id in found.items():
            with suppress(NotFound):
                job = await self.platform.jobs.get(owner, job_id)
                known[key] = Known(job, await figures_of(self.platform, job))
        return known

    def _write(
        self, tx: Transaction, known: Mapping[str, Known], new: Mapping[str, Known]
    ) -> list[BedState]:
        owner = self.caller.organization_id
        held = store.reusable(tx, owner, known, held=True) if known else {}
        if any(held.get(key) != each.job.id for key, each in known.items()):
            raise _Vanished
        made: list[BedState] = []
        for each in self.wanted:
            each.write(tx)
            key = each.recipe.hash
            job, figures = known.get(key) or new[key]
            source = Source(store.add_generation(tx, each.bed, job_id=job.id, recipe=key), job)
            made.append(BedState(each.bed, source, source if source.ready else None, figures))
        self.also(tx, made)
        return made
