"""A mesh of OpenFOAM as arrays, and back as files of ours.

A file of a mesh is a dictionary at its head, and a dictionary may run code. So a mesh that somebody
sends never reaches OpenFOAM as it came: it is read as numbers, judged, and written anew.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from usina.imaging.array import Field

Labels: TypeAlias = NDArray[np.int32]

PATCHES: Final = {"inlet": "patch", "outlet": "patch", "tube": "wall", "bed": "wall"}
"""By name what a boundary is; `outlet` and the like are those of `case`."""

_HEAD: Final = re.compile(rb"FoamFile\s*\{(.*?)\}", re.DOTALL)
_LONG: Final = re.compile(rb"label=64")
_COUNT: Final = re.compile(rb"\s*(\d+)\s*(\()?")
_PATCH: Final = re.compile(r"(\w+)\s*\{[^}]*?nFaces\s+(\d+);\s*startFace\s+(\d+);[^}]*\}")


@dataclass(frozen=True, slots=True)
class Patch:
    """``faces`` of the boundary from ``start`` on."""

    name: str
    faces: int
    start: int


@dataclass(frozen=True, slots=True)
class PolyMesh:
    """``points`` ``(n, 3)`` in metres. Face ``i`` has the corners from ``corners[starts[i]]`` to
    before ``corners[starts[i + 1]]`` and belongs to cell ``owner[i]``; the first ``len(neighbour)``
    lie between two cells, the others in ``patches``."""

    points: Field
    starts: Labels
    corners: Labels
    owner: Labels
    neighbour: Labels
    patches: tuple[Patch, ...]

    @property
    def cells(self) -> int:
        return 1 + max(int(labels.max(initial=-1)) for labels in (self.owner, self.neighbour))

    def check(self) -> None:
        """Raises ``ValueError`` for what can be no mesh."""
        faces, inner = len(self.owner), len(self.neighbour)
        _hold(faces > 0 and inner <= faces, "it has no faces")
        _hold(bool(np.isfinite(self.points).all()), "a point lies nowhere")
        lengths = np.diff(self.starts)
        _hold(len(lengths) == faces and bool((lengths >= 3).all()), "a face has no three corners")
        ends = (int(self.starts[0]), int(self.starts[-1]))
        _hold(ends == (0, len(self.corners)), "faces and corners do not fit")
        _within(self.corners, len(self.points), "a corner is no point")
        beside = np.concatenate([self.owner, self.neighbour])
        _within(beside, faces, "a face has no cell")
        _hold(bool((self.owner[:inner] < self.neighbour).all()), "its faces are out of order")
        _hold(bool((np.bincount(beside) >= 4).all()), "a cell has no four faces")
        _hold([patch.name for patch in self.patches] == list(PATCHES), "its boundary is another")
        spans = [(patch.faces, patch.start) for patch in self.patches]
        _hold(all(type(each) is int for span in spans for each in span), "a patch has no faces")
        edges = [inner, *(patch.start + patch.faces for patch in self.patches)]
        starts = [patch.start for patch in self.patches]
        _hold(edges[:-1] == starts and edges[-1] == faces, "its boundary does not close it")


def read_poly_mesh(folder: Path) -> PolyMesh:
    """Of ``constant/polyMesh`` in binary. Raises ``ValueError``, ``OSError``."""
    return PolyMesh(
        points=_lists(folder / "points", "<f8")[0].reshape(-1, 3),
        **dict(zip(("starts", "corners"), _labels(folder / "faces", 2), strict=True)),
        owner=_labels(folder / "owner")[0],
        neighbour=_labels(folder / "neighbour")[0],
        patches=_patches(folder / "boundary"),
    )


def write_poly_mesh(folder: Path, mesh: PolyMesh, *, long_labels: bool) -> None:
    """``constant/polyMesh`` for an OpenFOAM whose labels have 64 bits, or 32."""
    folder.mkdir(parents=True, exist_ok=True)
    label = "<i8" if long_labels else "<i4"
    size = 64 if long_labels else 32
    note = (
        f"nPoints:{len(mesh.points)}  nCells:{mesh.cells}  nFaces:{len(mesh.owner)}  "
        f"nInternalFaces:{len(mesh.neighbour)}"
    )
    for name, kind, lists in (
        ("points", "vectorField", [(len(mesh.points), mesh.points.astype("<f8"))]),
        (
            "faces",
            "faceCompactList",
            [(len(one), one.astype(label)) for one in (mesh.starts, mesh.corners)],
        ),
        ("owner", "labelList", [(len(mesh.owner), mesh.owner.astype(label))]),
        ("neighbour", "labelList", [(len(mesh.neighbour), mesh.neighbour.astype(label))]),
    ):
        parts: Sequence[tuple[int, NDArray[Any]]] = lists
        body = b"".join(b"%d\n(%b)\n" % (count, data.tobytes()) for count, data in parts)
        head = _head(name, kind, "binary", size, note)
        (folder / name).write_bytes(head.encode("ascii") + body)
    words = [
        f"    {patch.name}\n    {{\n        type {PATCHES[patch.name]};\n"
        f"        nFaces {patch.faces};\n        startFace {patch.start};\n    }}\n"
        for patch in mesh.patches
    ]
    text = f"{len(words)}\n(\n{''.join(words)})\n"
    head = _head("boundary", "polyBoundaryMesh", "ascii", size, note)
    (folder / "boundary").write_text(head + text, "ascii")


def _head(name: str, kind: str, form: str, size: int, note: str) -> str:
    return (
        f"FoamFile\n{{\n    version 2.0;\n    format {form};\n"
        f'    arch "LSB;label={size};scalar=64";\n    class {kind};\n    note "{note}";\n'
        f'    location "constant/polyMesh";\n    object {name};\n}}\n\n'
    )


def _labels(path: Path, count: int = 1) -> list[Labels]:
    long = _LONG.search(path.read_bytes()[:4096]) is not None
    return [each.astype(np.int32) for each in _lists(path, "<i8" if long else "<i4", count)]


def _lists(path: Path, kind: str, count: int = 1) -> list[NDArray[Any]]:
    """The lists of a file in binary, one after the other; those of points are of three numbers."""
    data = path.read_bytes()
    head = _HEAD.search(data)
    _hold(head is not None and b"binary" in head[1], f"{path.name} is not in binary")
    place = _after_comment(data, head.end() if head else 0)
    width = 3 if kind == "<f8" else 1
    found: list[NDArray[Any]] = []
    for _ in range(count):
        told = _COUNT.match(data, place)
        _hold(told is not None, f"{path.name} has no list")
        assert told is not None
        length = int(told[1]) * width
        found.append(np.frombuffer(data, kind, length, told.end()))
        place = told.end() + length * np.dtype(kind).itemsize + (1 if told[2] else 0)
    return found


def _after_comment(data: bytes, place: int) -> int:
    comment = re.compile(rb"\s*//[^\n]*\n").match(data, place)
    return comment.end() if comment else place


def _patches(path: Path) -> tuple[Patch, ...]:
    found = _PATCH.findall(path.read_text("ascii"))
    known = {name: Patch(name, int(faces), int(start)) for name, faces, start in found}
    _hold(known.keys() == PATCHES.keys(), "its boundary is another")
    patches = sorted(known.values(), key=lambda patch: patch.start)
    _hold(all(a.start + a.faces == b.start for a, b in pairwise(patches)), "its boundary has gaps")
    return tuple(patches)


def _within(labels: Labels, count: int, words: str) -> None:
    _hold(not len(labels) or bool(labels.min() >= 0 and labels.max() < count), words)


def _hold(so: bool, words: str) -> None:
    if not so:
        raise ValueError(words)
