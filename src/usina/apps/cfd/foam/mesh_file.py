"""``mesh.zip``: a finished mesh, that a later job takes in place of making its own.

It holds numbers alone: the lists of the mesh, and a ``mesh.json`` that says of which particles and
settings it is, what ``checkMesh`` said of it, and the hash of each list. Taken, each of these is
compared before a file is written; what does not hold is refused, and no half mesh is ever used.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from usina.apps.cfd.foam.layout import MOST_CELLS, Layout
from usina.apps.cfd.foam.log import MeshQuality
from usina.apps.cfd.foam.poly_mesh import Patch, PolyMesh
from usina_runner import InvalidInput

NAME: Final = "mesh.zip"
FORMAT: Final = 1
"""Raised with every change of what a case's mesh comes out as, or of this file."""

_TOLD: Final = "mesh.json"
_WHEN: Final = (1980, 1, 1, 0, 0, 0)
_LISTS: Final = {
    "points": ("<f8", 3),
    "starts": ("<i4", 1),
    "corners": ("<i4", 1),
    "owner": ("<i4", 1),
    "neighbour": ("<i4", 1),
}
"""By name the numbers of a list, and how many make an entry."""

_MOST_BYTES: Final = 600 * MOST_CELLS
"""Of all lists; a mesh takes some 120 bytes a cell."""

_MOST_TOLD: Final = 1 << 16
_REACH: Final = 1.02


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mesh comes from: the job that made it, and how many ``seconds`` that took."""

    job_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Subject:
    """What a mesh depends on; two of the same are of one mesh, to rounding."""

    bed_sha256: str
    mesh: Mapping[str, float]
    diameter_m: float

    @classmethod
    def of(cls, bed: Path, layout: Layout) -> Self:
        digest = hashlib.sha256(bed.read_bytes()).hexdigest()
        mesh = {name: float(value) for name, value in asdict(layout.option).items()}
        return cls(digest, mesh, layout.diameter_m)


@dataclass(frozen=True, slots=True)
class Meshed:
    """A mesh with what is known of it; ``openfoam`` is the version that made it."""

    subject: Subject
    openfoam: str
    quality: MeshQuality
    origin: Origin
    mesh: PolyMesh


def write_mesh(target: Path, meshed: Meshed) -> None:
    """Under a fresh name first, so that ``target`` is whole as soon as it is there."""
    fresh = target.with_suffix(".part")
    lists = {
        name: np.ascontiguousarray(getattr(meshed.mesh, name), dtype=kind).tobytes()
        for name, (kind, _) in _LISTS.items()
    }
    told = {
        "format": FORMAT,
        "subject": asdict(meshed.subject),
        "openfoam": meshed.openfoam,
        "quality": meshed.quality.as_json(),
        "origin": asdict(meshed.origin),
        "patches": [asdict(patch) for patch in meshed.mesh.patches],
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in lists.items()},
    }
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        _add(archive, _TOLD, json.dumps(told).encode("ascii"))
        for name, data in lists.items():
            _add(archive, name, data)
    fresh.replace(target)


def read_mesh(path: Path, subject: Subject) -> Meshed:
    """The mesh of ``path``, which has to be of ``subject``. Raises ``InvalidInput``:
    ``mesh_broken`` for what is no whole mesh, ``mesh_of_another_bed`` for one of other particles,
    another tube or other settings."""
    try:
        with zipfile.ZipFile(path) as archive:
            told = _told(archive)
            found = _meshed(archive, told)
    except (
        *(zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, RuntimeError),
        *(OSError, ValueError, TypeError, KeyError, OverflowError, zlib.error),
    ) as error:
        words = f"This is no whole mesh of a bed ({error}); leave it out to have one made."
        raise InvalidInput("mesh_broken", words) from None
    if (difference := _difference(found.subject, subject)) is not None:
        raise InvalidInput(
            "mesh_of_another_bed",
            f"The mesh is of another {difference}; leave it out to have one made.",
        )
    return found


def _told(archive: zipfile.ZipFile) -> dict[str, Any]:
    entry = archive.getinfo(_TOLD)
    if entry.file_size > _MOST_TOLD:
        raise ValueError(f"its {_TOLD} is too large")
    told: dict[str, Any] = json.loads(archive.read(entry))
    if told["format"] != FORMAT:
        raise ValueError("it was written by another version")
    return told


def _meshed(archive: zipfile.ZipFile, told: Mapping[str, Any]) -> Meshed:
    mesh = PolyMesh(
        **{name: _list(archive, name, told["sha256"][name]) for name in _LISTS},
        patches=tuple(Patch(**patch) for patch in told["patches"]),
    )
    mesh.check()
    quality = MeshQuality(**{name: _number(value) for name, value in told["quality"].items()})
    subject = Subject(**told["subject"])
    if quality.cells != mesh.cells:
        raise ValueError("it has another number of cells than it says")
    far = np.hypot(mesh.points[:, 0], mesh.points[:, 1]).max()
    if not far <= _REACH * subject.diameter_m / 2:
        raise ValueError("it reaches beyond its tube")
    origin = Origin(str(told["origin"]["job_id"])[:64], _number(told["origin"]["seconds"]))
    return Meshed(subject, str(told["openfoam"])[:64], quality, origin, mesh)


def _number(value: Any) -> Any:
    """It as it is, so that a whole one stays whole."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return value


def _list(archive: zipfile.ZipFile, name: str, sha256: str) -> Any:
    entry = archive.getinfo(name)
    if entry.file_size > _MOST_BYTES:
        raise ValueError(f"its {name} are too many")
    data = archive.read(entry)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"its {name} are not what was written")
    kind, width = _LISTS[name]
    numbers = np.frombuffer(data, kind)
    return numbers.reshape(-1, width) if width > 1 else numbers


def _difference(one: Subject, other: Subject) -> str | None:
    if one.bed_sha256 != other.bed_sha256:
        return "bed"
    if dict(one.mesh) != dict(other.mesh):
        return "kind: the parameter mesh is not the same"
    return "tube" if one.diameter_m != other.diameter_m else None


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _WHEN)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, data, compresslevel=1)
