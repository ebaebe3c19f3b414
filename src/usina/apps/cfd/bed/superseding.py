"""Generations that a newer one has taken the place of: stopped, then removed with their files.

The files of a generation stay until a newer one is ready, and as long as a simulation of it has not
ended. So whatever is killed in between, a bed that had particles has particles.
"""

from collections.abc import Sequence
from typing import Final

from usina.apps.cfd.bed import store
from usina.apps.cfd.bed.bed import Generation
from usina.apps.cfd.simulation.pending import is_needed
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.jobs.state import Status
from usina.kernel.platform import Platform
from usina.kernel.tenancy.audit import Note, unnoted
from usina.kernel.tenancy.caller import Caller

_LIMIT: Final = 200


class StillUsed(Exception):
    """Another bed has the same job."""


async def let_go(platform: Platform, generation: Generation) -> None:
    """Stops a superseded generation that nobody else has, and removes it once it may go."""
    try:
        if generation.job_id is not None:
            await stop_job(platform, generation.organization_id, generation.job_id, [generation])
    except StillUsed:
        pass
    if await platform.database.read(lambda tx: _may_go(tx, generation), tenant=None):
        await remove(platform, [generation])


async def stop_job(platform: Platform, owner: str, job_id: str, of: Sequence[Generation]) -> None:
    """Cancels the job of these generations; raises ``StillUsed`` where others have it too."""
    try:
        await platform.jobs.cancel(owner, job_id, lambda tx: _refuse_shared(tx, job_id, of))
    except NotFound:
        return


async def remove(platform: Platform, generations: Sequence[Generation]) -> None:
    """The objects and rows of generations that have ended; a job or file that others have stays."""
    for generation in generations:
        owner = generation.organization_id
        if generation.job_id is not None:
            await _remove_job(platform, owner, generation.job_id, generations)
        elif generation.file_id is not None:
            await remove_file(platform, owner, generation.file_id)
        await platform.database.write(
            lambda tx, g=generation: store.forget_generation(tx, g.id), tenant=owner
        )


async def remove_file(platform: Platform, owner: str, file_id: str, note: Note = unnoted) -> None:
    """A bed's upload, with what was made of it; refused while an unfinished job reads it."""
    caller = Caller(owner, key_id=None)

    def forget(tx: Transaction) -> None:
        store.forget_file(tx, owner, file_id)
        note(tx)

    try:
        await platform.files.delete(caller, file_id, forget)
    except NotFound:
        await platform.database.write(forget, tenant=owner)


async def _remove_job(
    platform: Platform, owner: str, job_id: str, of: Sequence[Generation]
) -> None:
    try:
        await platform.jobs.delete(owner, job_id, lambda tx: _refuse_shared(tx, job_id, of))
    except (NotFound, StillUsed):
        return


def _refuse_shared(tx: Transaction, job_id: str, of: Sequence[Generation]) -> None:
    """Asked while the job's row is held, as is done by who wants to share it."""
    if store.used_elsewhere(tx, job_id, [generation.id for generation in of]):
        raise StillUsed


def _may_go(tx: Transaction, generation: Generation) -> bool:
    status = store.status_of(tx, generation.job_id)
    if status is not None and not status.terminal:
        return False
    if is_needed(tx, generation.id):
        return False
    failed = generation.file_id is None and status is not Status.SUCCEEDED
    return failed or store.is_replaced(tx, generation)


async def replace_generations(platform: Platform) -> None:
    """The turn of the beat: what a kill, a program that still ran, or a simulation has left."""
    for generation in await platform.database.read(lambda tx: store.superseded(tx, _LIMIT)):
        try:
            await let_go(platform, generation)
        except Conflict:
            continue  # a job reads it still
