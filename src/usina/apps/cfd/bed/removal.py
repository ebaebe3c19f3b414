"""Deleting a bed: what runs is stopped, then every object and row of it goes.

A deletion begins with a mark, from which on nobody sees the bed and nothing is added to it. The
bed's row goes last; so whatever is killed in between, the beat ends what was begun.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import structlog

from usina.apps.cfd.bed import store
from usina.apps.cfd.bed.bed import Bed, Generation
from usina.apps.cfd.bed.superseding import StillUsed, remove, remove_file, stop_job
from usina.apps.cfd.simulation import store as simulations
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound, Unavailable
from usina.kernel.failpoints import reach
from usina.kernel.platform import Platform
from usina.kernel.tenancy.audit import Note

_log: structlog.stdlib.BoundLogger = structlog.get_logger()
_STOP_SECONDS: Final = 10.0
_LIMIT: Final = 100


async def delete_bed(platform: Platform, owner: str, bed_id: str, note: Note) -> None:
    """Raises ``NotFound``, ``Unavailable`` (``deletion_unfinished``) where a program could not be
    stopped in time: the platform goes on by itself then."""

    def begin(tx: Transaction) -> Bed:
        bed = store.begin_deleting(tx, owner, bed_id)
        simulations.close_bed(tx, bed.id)
        note(tx)
        return bed

    bed = await platform.database.write(begin, tenant=owner)
    reach("bed.after_mark")
    await finish_deleting(platform, bed)


async def finish_deleting(platform: Platform, bed: Bed) -> None:
    """Does all of it that is still to do."""
    owner = bed.organization_id
    generations, jobs = await platform.database.read(partial(_all_of, bed=bed), tenant=owner)
    alone = await asyncio.gather(*(_stop_making(platform, g, generations) for g in generations))
    await _stop(platform, owner, jobs)
    await _end(platform, owner, [*jobs, *filter(None, alone)])
    for job_id in jobs:
        with suppress(NotFound):
            await platform.jobs.delete(owner, job_id)
    await remove(platform, generations)
    for file in await platform.database.read(lambda tx: store.files_of(tx, bed), tenant=owner):
        await remove_file(platform, owner, file.id)
    reach("bed.after_objects")

    def forget(tx: Transaction) -> None:
        simulations.forget_bed(tx, bed.id)
        store.forget_bed(tx, bed)

    await platform.database.write(forget, tenant=owner)
    _log.info("bed deleted", bed=bed.id)


def _all_of(tx: Transaction, bed: Bed) -> tuple[Sequence[Generation], Sequence[str]]:
    return store.generations_of(tx, [bed.id])[bed.id], simulations.jobs_of_bed(tx, bed.id)


async def _stop_making(
    platform: Platform, generation: Generation, own: Sequence[Generation]
) -> str | None:
    """The job that was told to stop; null where there is none, or another bed has it too."""
    if generation.job_id is None:
        return None
    try:
        await stop_job(platform, generation.organization_id, generation.job_id, own)
    except StillUsed:
        return None
    return generation.job_id


async def _stop(platform: Platform, owner: str, job_ids: Sequence[str]) -> None:
    for job_id in job_ids:
        with suppress(NotFound):
            await platform.jobs.cancel(owner, job_id)


async def _end(platform: Platform, owner: str, job_ids: Sequence[str]) -> None:
    """Waits until all have ended."""

    async def ended(job_id: str) -> bool:
        try:
            job = await platform.jobs.wait(owner, job_id, _STOP_SECONDS)
        except NotFound:
            return True
        return job.status.terminal

    if not all(await asyncio.gather(*map(ended, job_ids))):
        raise Unavailable(
            "A program of this bed still runs; the deletion goes on by itself.",
            code="deletion_unfinished",
        )


async def finish_deletions(platform: Platform) -> None:
    """The turn of the beat: ends what a kill or a program that would not stop has left."""
    for bed in await platform.database.read(lambda tx: store.being_deleted(tx, _LIMIT)):
        try:
            await finish_deleting(platform, bed)
        except (Unavailable, Conflict) as problem:
            _log.warning("a deletion has not ended yet", why=problem.code)
