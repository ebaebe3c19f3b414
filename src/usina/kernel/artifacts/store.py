"""The rows of artifacts: written and removed with those of their job."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.artifacts.table import artifacts
from usina.kernel.db.prepared import Prepared, among
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.tenancy.caller import owned_by

_FIELDS: Final = tuple(
    name for name in Artifact.__dataclass_fields__ if name not in {"inline", "content"}
)
_INLINE: Final = artifacts.c.content.is_not(None).label("inline")
_COLUMNS: Final = (*(artifacts.c[name] for name in _FIELDS), _INLINE)
_JOB_IDS: Final = among(artifacts.c.job_id, "job_ids")
_INSERT: Final = Prepared(sa.insert(artifacts), (*_FIELDS, "content"))
_OF_JOBS: Final = Prepared(sa.select(*_COLUMNS).where(_JOB_IDS).order_by(artifacts.c.id))
_FORGET: Final = Prepared(sa.delete(artifacts).where(_JOB_IDS))
_MADE: Final = tuple(column.label(f"made_{column.name}") for column in _COLUMNS)


def insert_artifacts(tx: Transaction, made: Sequence[Artifact]) -> None:
    """From this commit on they are their job's artifacts."""
    if made:
        _INSERT.run_many(
            tx, [{n: getattr(artifact, n) for n in (*_FIELDS, "content")} for artifact in made]
        )


def of_jobs(tx: Transaction, job_ids: Sequence[str]) -> dict[str, tuple[Artifact, ...]]:
    """By job, in the order in which they were made; a job without any is left out."""
    found: dict[str, tuple[Artifact, ...]] = {}
    for row in _OF_JOBS.all(tx, {"job_ids": list(job_ids)}):
        artifact = Artifact(*row)
        found[artifact.job_id] = (*found.get(artifact.job_id, ()), artifact)
    return found


def with_artifacts(
    of: sa.Select[*tuple[Any, ...]], job_id: sa.ColumnElement[str]
) -> sa.Select[Any]:
    """The question with a row for each artifact of what it finds, or one for none of it: what
    :func:`artifact_in` reads."""
    joined = of.outerjoin(artifacts, artifacts.c.job_id == job_id)
    return joined.add_columns(*_MADE).order_by(artifacts.c.id)


def artifact_in(row: Sequence[Any]) -> Artifact | None:
    """The artifact of a row of such an answer."""
    made = row[-len(_MADE) :]
    return None if made[0] is None else Artifact(*made)


def with_content(tx: Transaction, job_id: str) -> list[Artifact] | None:
    """A job's artifacts with the content of the small ones; null when one of them is lost."""
    query = sa.select(*_COLUMNS, artifacts.c.content, artifacts.c.missing_at)
    rows = tx.execute(query.where(artifacts.c.job_id == job_id).order_by(artifacts.c.id)).all()
    if any(row.missing_at is not None for row in rows):
        return None
    return [Artifact(*tuple(row)[:-1]) for row in rows]


def find(tx: Transaction, artifact_id: str, organization_id: str | None) -> Artifact | None:
    """One artifact, with the content of a small one; without an organization only for a link that
    was signed for this very artifact."""
    query = sa.select(*_COLUMNS, artifacts.c.content).where(artifacts.c.id == artifact_id)
    if organization_id is not None:
        query = query.where(owned_by(organization_id, artifacts))
    row = tx.execute(query).one_or_none()
    return None if row is None else Artifact(*row)


def forget_jobs(tx: Transaction, job_ids: Sequence[str]) -> None:
    _FORGET.run(tx, {"job_ids": list(job_ids)})


def describe(artifact: Artifact) -> dict[str, Any]:
    """As the contract shows it, without its address."""
    return {
        "id": artifact.id,
        "kind": artifact.kind,
        "name": artifact.name,
        "media_type": artifact.media_type,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
    }
