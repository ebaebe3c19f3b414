"""The files of a bed: what its generation has made, and what was uploaded to it."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import sqlalchemy as sa

from usina.apps.cfd.bed import store
from usina.apps.cfd.bed.bed import Bed
from usina.apps.cfd.bed.recipe import PARTICLES
from usina.apps.cfd.bed.state import BedState, state_of
from usina.apps.cfd.bed.superseding import remove_file
from usina.http_kit.bytes import StoredBytes
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.table import artifacts
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Conflict, NotFound
from usina.kernel.files.file import File
from usina.kernel.ids import is_id
from usina.kernel.jobs.store.query import file_in_use
from usina.kernel.platform import Platform
from usina.kernel.tenancy.audit import Note
from usina.kernel.tenancy.caller import owned_by

Read = Callable[[int, int], AsyncGenerator[memoryview]]


@dataclass(frozen=True, slots=True)
class BedFiles:
    """Of one bed, which was found for its organization."""

    platform: Platform
    bed: Bed

    async def list(self) -> list[File | Artifact]:
        """Those that were made first; logs stay with their job."""
        state = await state_of(self.platform, self.bed)
        uploaded = await self.platform.database.read(
            lambda tx: store.files_of(tx, self.bed), tenant=self.bed.organization_id
        )
        return [*made_for(state), *uploaded]

    async def get(self, file_id: str) -> File | Artifact:
        if is_id(file_id):
            for each in await self.list():
                if each.id == file_id:
                    return each
        raise NotFound

    async def stored(self, file_id: str) -> StoredBytes:
        """The bytes, to be served."""
        found = await self.get(file_id)
        if isinstance(found, Artifact):
            made = await self.platform.artifacts.get(self.bed.organization_id, found.id)
            return _stored(
                made, lambda start, stop: self.platform.artifacts.read(made, start, stop)
            )
        return _stored(found, lambda start, stop: self.platform.files.read(found, start, stop))

    async def delete(self, file_id: str, note: Note) -> None:
        """Refused with ``file_in_use`` while an unfinished job reads it, or where another bed
        shares it."""
        found = await self.get(file_id)
        owner = self.bed.organization_id
        if isinstance(found, File):
            await remove_file(self.platform, owner, file_id, note)
            return
        await self.platform.database.write(
            lambda tx: _forget_artifact(tx, self.bed, found, note), tenant=owner
        )
        if not found.inline:
            await self.platform.artifacts.delete_objects([found.key])


def made_for(state: BedState) -> list[Artifact]:
    """What the generation has made that the bed shows."""
    job = state.shown.job if state.shown else None
    return [artifact for artifact in (job.artifacts if job else ()) if artifact.kind != "log"]


def particles_of(state: BedState) -> str | None:
    """The file or artifact that holds the particles of the newest generation; null where there is
    none (any more)."""
    newest = state.newest
    if newest is None or not newest.ready:
        return None
    if newest.job is None:
        return newest.generation.file_id
    return next((a.id for a in newest.job.artifacts if a.name == PARTICLES), None)


def _forget_artifact(tx: Transaction, bed: Bed, artifact: Artifact, note: Note) -> None:
    own = [generation.id for generation in store.generations_of(tx, [bed.id])[bed.id]]
    if file_in_use(tx, artifact.id):
        raise Conflict(
            "An unfinished job reads this file; cancel it or wait for its end.", code="file_in_use"
        )
    if store.used_elsewhere(tx, artifact.job_id, own):
        raise Conflict("A bed of the same geometry shares this file.", code="file_in_use")
    mine = sa.delete(artifacts).where(owned_by(bed.organization_id, artifacts))
    if not tx.execute(mine.where(artifacts.c.id == artifact.id)).rowcount:
        raise NotFound
    note(tx)


def _stored(found: File | Artifact, read: Read) -> StoredBytes:
    return StoredBytes(found.name, found.media_type, found.size_bytes, found.sha256, read)
