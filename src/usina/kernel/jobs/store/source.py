"""What a job may read: files and artifacts of its organization."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.table import artifacts
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.files.file import File
from usina.kernel.files.table import files
from usina.kernel.jobs.job import InputIds
from usina.kernel.tenancy.caller import owned_by


@dataclass(frozen=True, slots=True)
class Source:
    """One readable thing, by its sniffed type."""

    kind: Literal["file", "artifact"]
    id: str
    name: str
    media_type: str
    sha256: str
    key: str
    content: bytes | None = None
    """Of a small artifact, which has no object."""


class SourceMissing(Exception):
    """An input is no more; the message is for the job's error."""


Inputs = Mapping[str, Sequence[Source]]
"""The files of each input, in order."""


def sources_of(tx: Transaction, organization_id: str, inputs: InputIds) -> Inputs:
    """What a job reads; raises `SourceMissing` where some of it was deleted."""
    wanted = {name: [ids] if isinstance(ids, str) else ids for name, ids in inputs.items()}
    every = {source_id for ids in wanted.values() for source_id in ids}
    found = find_sources(tx, organization_id, every) if every else {}
    for name, ids in wanted.items():
        if not found.keys() >= set(ids):
            raise SourceMissing(f"The input {name!r} was deleted before the job began.")
    return {name: [found[source_id] for source_id in ids] for name, ids in wanted.items()}


def find_sources(
    tx: Transaction, organization_id: str, wanted: Collection[str], *, keep: bool = False
) -> dict[str, Source]:
    """Those of the ids that the organization can read, by id. With ``keep`` nobody deletes the
    files before the end of the transaction."""
    found: dict[str, Source] = {}
    ready = sa.select(files).where(
        owned_by(organization_id, files), files.c.id.in_(wanted), files.c.status == "ready"
    )
    if keep:
        ready = ready.order_by(files.c.id).with_for_update(read=True)
    for row in tx.execute(ready):
        key = File.key_of(row.organization_id, row.id, row.object_id)
        found[row.id] = Source("file", row.id, row.name, row.media_type, row.sha256, key)
    if not (left := set(wanted) - found.keys()):
        return found
    made = sa.select(artifacts).where(
        owned_by(organization_id, artifacts), artifacts.c.id.in_(left)
    )
    for row in tx.execute(made):
        key = Artifact.key_of(row.organization_id, row.job_id, row.id)
        found[row.id] = Source(
            "artifact", row.id, row.name, row.media_type, row.sha256, key, row.content
        )
    return found
