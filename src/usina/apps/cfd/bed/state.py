"""How a bed is: derived from the jobs of its generations, never stored."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from usina.apps.cfd.bed import store
from usina.apps.cfd.bed.bed import Bed, Generation
from usina.apps.cfd.told import number, told_by
from usina.kernel.errors import NotFound
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import Status
from usina.kernel.platform import Platform

_FIGURES: Final = frozenset({"porosity", "porosity_bulk"})


@dataclass(frozen=True, slots=True)
class Source:
    """A generation with its job; without one where its particles were uploaded, or where the job
    was deleted by itself."""

    generation: Generation
    job: Job | None

    @property
    def ready(self) -> bool:
        if self.job is None:
            return self.generation.file_id is not None
        return self.job.status is Status.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Figures:
    porosity: float | None
    porosity_bulk: float | None


NO_FIGURES: Final = Figures(None, None)


@dataclass(frozen=True, slots=True)
class BedState:
    """``newest`` is the generation that the bed's status speaks of, ``shown`` the one whose files
    it has: the newest that is ready."""

    bed: Bed
    newest: Source | None
    shown: Source | None
    figures: Figures

    @property
    def status(self) -> Status | None:
        if self.newest is None:
            return None
        if self.newest.job is not None:
            return self.newest.job.status
        return Status.SUCCEEDED if self.newest.ready else None


async def states_of(platform: Platform, owner: str, beds: Sequence[Bed]) -> list[BedState]:
    """The states of beds of one organization, in their order."""
    look = partial(store.generations_of, bed_ids=[bed.id for bed in beds])
    found = await platform.database.read(look, tenant=owner)
    return list(await asyncio.gather(*(_state(platform, bed, found[bed.id]) for bed in beds)))


async def state_of(platform: Platform, bed: Bed) -> BedState:
    return (await states_of(platform, bed.organization_id, [bed]))[0]


async def _state(platform: Platform, bed: Bed, generations: Sequence[Generation]) -> BedState:
    sources = await asyncio.gather(*(_source(platform, each) for each in generations))
    newest = sources[0] if sources else None
    shown = next((source for source in sources if source.ready), None)
    figures = await figures_of(platform, newest.job) if newest and newest.job else NO_FIGURES
    return BedState(bed, newest, shown, figures)


async def figures_of(platform: Platform, job: Job) -> Figures:
    """As the generation's report tells them; nothing before its end."""
    if job.status is not Status.SUCCEEDED:
        return NO_FIGURES
    told = await told_by(platform, job, _FIGURES)
    return Figures(number(told.get("porosity")), number(told.get("porosity_bulk")))


async def _source(platform: Platform, generation: Generation) -> Source:
    if generation.job_id is None:
        return Source(generation, None)
    try:
        job = await platform.jobs.get(generation.organization_id, generation.job_id)
    except NotFound:
        job = None
    return Source(generation, job)
