"""What a job's `report.json` tells the server: read as untrusted, kept while it is asked for.

An artifact's bytes never change, so what was read once is true for ever.
"""

from collections import OrderedDict
from typing import Any, Final

from usina.http_kit.body import parse_json
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.errors import Malformed
from usina.kernel.jobs.job import Job
from usina.kernel.platform import Platform
from usina.kernel.storage.store import ObjectMissing

_NAME: Final = "report.json"
_MOST_BYTES: Final = 4 * 1024**2
_MOST_KEPT: Final = 2048
_KEPT: Final[OrderedDict[str, dict[str, Any]]] = OrderedDict()
"""By the artifact's id; the least recently asked for goes first."""


async def told_by(platform: Platform, job: Job, wanted: frozenset[str]) -> dict[str, Any]:
    """Those of the report's fields that are wanted, of a job that has succeeded; nothing of what
    can not be read."""
    artifact = next((a for a in job.artifacts if a.name == _NAME), None)
    if artifact is None or artifact.size_bytes > _MOST_BYTES:
        return {}
    key = f"{artifact.id} {sorted(wanted)}"
    if key in _KEPT:
        _KEPT.move_to_end(key)
        return _KEPT[key]
    try:
        content = await _content(platform, job, artifact)
    except ObjectMissing:
        return {}
    told = fields_of(content, wanted)
    _KEPT[key] = told
    if len(_KEPT) > _MOST_KEPT:
        _KEPT.popitem(last=False)
    return told


def fields_of(report: bytes, wanted: frozenset[str]) -> dict[str, Any]:
    """Those of a report's fields that are wanted; none where it is no object of strict JSON."""
    try:
        told = parse_json(report)
    except Malformed:
        return {}
    return {name: told[name] for name in wanted if name in told} if isinstance(told, dict) else {}


async def _content(platform: Platform, job: Job, artifact: Artifact) -> bytes:
    artifacts = platform.artifacts
    whole = await artifacts.get(job.organization_id, artifact.id)
    return b"".join([bytes(part) async for part in artifacts.read(whole, 0, whole.size_bytes)])


def number(value: Any) -> float | None:
    """A figure of a report, or nothing where there is none."""
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good and value == value and abs(value) < float("inf") else None
