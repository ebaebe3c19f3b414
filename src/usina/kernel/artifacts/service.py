"""Artifacts: outputs with their hashes. Objects come before rows and go after them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from usina.kernel.artifacts import store as rows
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.owner import ArtifactOwner
from usina.kernel.artifacts.stage import NewArtifact, OutputRefused, stage, stage_inline
from usina.kernel.clock import Clock
from usina.kernel.db.unit_of_work import Database, Transaction
from usina.kernel.errors import NotFound
from usina.kernel.failpoints import reach
from usina.kernel.ids import is_id, new_id
from usina.kernel.storage.store import Presigned, Store

__all__ = ["Artifacts", "NewArtifact", "OutputRefused"]

_AT_ONCE: Final = 4
"""Outputs of one job on their way to the store."""


class Artifacts:
    """The service of the room; the rows themselves are written by the job's own transaction."""

    def __init__(self, database: Database, store: Store, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def stage(self, outputs: Sequence[NewArtifact]) -> list[Artifact]:
        """Puts the outputs into the store, all or none; nobody sees them before their rows.

        Small ones are not put anywhere: their rows will hold them. Raises ``OutputRefused`` for
        what is no plain file, ``StorageFull``.
        """
        now = self._clock.now()
        small = [stage_inline(output, now) for output in outputs]
        pairs = zip(outputs, small, strict=True)
        stored = iter(await self._stored([output for output, known in pairs if known is None]))
        return [known or next(stored) for known in small]

    async def _stored(self, outputs: Sequence[NewArtifact]) -> list[Artifact]:
        """A few at a time: each waits for the disk, and the disk can sync several at once."""
        room = asyncio.Semaphore(_AT_ONCE)
        failed: list[BaseException] = []

        async def put(output: NewArtifact) -> Artifact | None:
            async with room:
                if failed:
                    return None
                try:
                    return await self._store.run(
                        partial(stage, self._store, output, self._clock.now())
                    )
                except Exception as error:
                    failed.append(error)
                    return None

        done = await asyncio.gather(*map(put, outputs))
        staged = [artifact for artifact in done if artifact is not None]
        if failed:
            await self.delete_objects([artifact.key for artifact in staged])
            raise failed[0]
        return staged

    async def copy(
        self, artifacts: Sequence[Artifact], job_id: str, attempt: int
    ) -> list[Artifact]:
        """The same files for another job of the organization, staged as its own, all or none: the
        first job may go. ``content`` of small ones has to be there.

        Raises ``ObjectMissing`` when one has just gone, ``StorageFull``, ``Unavailable``.
        """
        now = self._clock.now()
        pairs = [
            (each, replace(each, id=new_id(), job_id=job_id, attempt=attempt, created_at=now))
            for each in artifacts
        ]
        large = [(old.key, new.key) for old, new in pairs if not new.inline]
        if large:
            await self._store.run(lambda: self._copy_all(large))
        return [new for _, new in pairs]

    def _copy_all(self, keys: Sequence[tuple[str, str]]) -> None:
        try:
            for source, target in keys:
                self._store.copy(source, target)
                reach("reuse.after_copy")
        except BaseException:
            self._store.delete([target for _, target in keys])
            raise

    async def discard(self, artifacts: Sequence[Artifact]) -> None:
        """Deletes what an attempt has staged that lost its job, unless rows name it after all: the
        answer to a commit may have been lost, and the attempt been told later that it is over."""
        keys = [artifact.key for artifact in artifacts if not artifact.inline]
        if keys:
            named = await self._database.read(lambda tx: ArtifactOwner().known(tx, keys))
            await self.delete_objects([key for key in keys if key not in named])

    async def get(self, organization_id: str, artifact_id: str) -> Artifact:
        return await self._find(artifact_id, organization_id)

    async def signed(self, artifact_id: str) -> Artifact:
        """The artifact that a signed link names; the signature stands for its organization."""
        return await self._find(artifact_id, None)

    async def _find(self, artifact_id: str, organization_id: str | None) -> Artifact:
        if is_id(artifact_id):
            found = await self._database.read(
                lambda tx: rows.find(tx, artifact_id, organization_id), tenant=organization_id
            )
            if found is not None:
                return found
        raise NotFound

    def read(self, artifact: Artifact, start: int, stop: int) -> AsyncGenerator[memoryview]:
        """The bytes from ``start`` to before ``stop`` in large steps, of one that was got."""
        if artifact.content is not None:
            return _once(memoryview(artifact.content)[start:stop])
        return self._store.read(artifact.key, start, stop)

    async def presigned(
        self, artifact: Artifact, seconds: int, content_type: str, disposition: str
    ) -> Presigned | None:
        """How to read it from the store itself; null where it can not be, or is not there."""
        if artifact.inline:
            return None
        presigned = self._store.presigned_get(artifact.key, seconds, content_type, disposition)
        if presigned is None:
            return None
        size = await self._store.run(partial(self._store.size, artifact.key))
        return None if size is None else presigned

    def keys_of_jobs(self, tx: Transaction, job_ids: Sequence[str]) -> list[str]:
        """The objects to delete once the jobs are gone."""
        found = rows.of_jobs(tx, job_ids)
        return [a.key for made in found.values() for a in made if not a.inline]

    async def delete_objects(self, keys: Sequence[str]) -> None:
        """Deletes objects whose rows are gone."""
        if keys:
            await self._store.run(lambda: self._store.delete(keys))


async def _once(data: memoryview) -> AsyncGenerator[memoryview]:
    if data:
        yield data
