"""Bodies side by side on the ground, as one surface in glTF's axes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from manifold3d import Manifold, OpType

from usina.apps.threed.array import Bits, Field, Indices
from usina.apps.threed.finish import Finish
from usina.apps.threed.mesh import measure, unit
from usina.apps.threed.painted import Painted
from usina.apps.threed.parametric.body import Body
from usina.apps.threed.parametric.solid import box_of, polyhedron_of

_SHARP_DEGREES = 38.0
_APART = 0.18
_DETAILS = (1e-6, 1e-5, 1e-4)
"""Edges shorter than such a share of the size of a body may vanish in the 32 bits of a file; the
least that leaves the surface closed."""

_IN_A_ROW = 4
_UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True)
class Shell:
    """The surface of one body, z up, as it was built; ``worn`` counts its ``finishes``."""

    points: Field
    normals: Field
    faces: Indices
    worn: Indices
    finishes: tuple[Finish, ...]


def compose(bodies: Sequence[Body]) -> Painted:
    """All bodies side by side, closed as written."""
    painted = arrange(shells_of(bodies, _DETAILS[0]))
    for detail in _DETAILS[1:]:
        if measure(painted.points, painted.faces).watertight:
            break
        painted = arrange(shells_of(bodies, detail))
    return painted


def shell_of(body: Body, detail: float = _DETAILS[0]) -> Shell:
    """The outside of the union of a body's parts, without edges shorter than the share ``detail``
    of its size."""
    originals = [part.solid.as_original() for part in body]
    finish = {solid.original_id(): at for at, solid in enumerate(originals)}
    whole = Manifold.batch_boolean(originals, OpType.Add)
    extent = np.ptp(box_of(whole), axis=0)
    whole = whole.simplify(detail * float(extent.max()))
    normal = whole.calculate_normals(0, _SHARP_DEGREES)
    table, faces, ends, originals_in_turn = polyhedron_of(normal)
    worn = [finish[number] for number in originals_in_turn]
    return Shell(
        points=table[:, :3],
        normals=table[:, 3:6],
        faces=faces,
        worn=np.repeat(np.array(worn, dtype=np.int64), np.diff(ends)),
        finishes=tuple(part.finish for part in body),
    )


def shells_of(bodies: Iterable[Body], detail: float) -> list[Shell]:
    """Of each body; the same body is looked at once."""
    known: dict[int, Shell] = {}
    return [
        known.get(id(body)) or known.setdefault(id(body), shell_of(body, detail)) for body in bodies
    ]


def arrange(shells: Sequence[Shell]) -> Painted:
    """All of them in rows that do not touch, the middle over the origin, the lowest point at
    y = 0. Every row is as deep as its deepest body."""
    finishes = list(dict.fromkeys(finish for shell in shells for finish in shell.finishes))
    points: list[Field] = []
    faces: list[Indices] = []
    worn: list[Indices] = []
    count = 0
    for shell, offset in zip(shells, _places(shells), strict=True):
        points.append(shell.points + offset)
        faces.append(shell.faces + count)
        worn.append(np.array([finishes.index(each) for each in shell.finishes])[shell.worn])
        count += len(shell.points)
    return _turned(
        np.concatenate(points),
        np.concatenate([shell.normals for shell in shells]),
        np.concatenate(faces),
        np.concatenate(worn),
        tuple(finishes),
    )


def _places(shells: Sequence[Shell]) -> list[Field]:
    """How far each is moved."""
    boxes = [np.stack([shell.points.min(axis=0), shell.points.max(axis=0)]) for shell in shells]
    gap = _APART * max(float(np.ptp(box, axis=0)[:2].max()) for box in boxes)
    in_a_row = len(shells) if len(shells) <= _IN_A_ROW else ceil(sqrt(2 * len(shells)))
    places: list[Field] = []
    back = 0.0
    for first in range(0, len(shells), in_a_row):
        row = boxes[first : first + in_a_row]
        widths = [float(box[1, 0] - box[0, 0]) for box in row]
        deep = max(float(box[1, 1] - box[0, 1]) for box in row)
        left = -(sum(widths) + gap * (len(row) - 1)) / 2
        for box, width in zip(row, widths, strict=True):
            middle = (box[0] + box[1]) / 2
            place = (left + width / 2 - middle[0], back + deep / 2 - middle[1], -box[0, 2])
            places.append(np.array(place))
            left += width + gap
        back += deep + gap
    return places


def _turned(
    points: Field, normals: Field, faces: Indices, worn: Indices, finishes: tuple[Finish, ...]
) -> Painted:
    """From z up to y up; rounded to what a 32-bit number holds, so that what is measured is what
    is written. Points that lie on several finishes are doubled, faces that the rounding leaves
    without area dropped."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, 0])
    rounded = ((points - middle) @ _UPRIGHT).astype(np.float32).astype(np.float64)
    kept = np.flatnonzero(_has_area(rounded, faces))
    order = kept[np.argsort(worn[kept], kind="stable")]
    faces, worn = faces[order], worn[order]
    corner = faces.ravel() * len(finishes) + np.repeat(worn, 3)
    used, index = np.unique(corner, return_inverse=True)
    used //= len(finishes)
    return Painted(
        points=rounded[used],
        normals=(unit(normals[used]) @ _UPRIGHT).astype(np.float32).astype(np.float64),
        faces=index.reshape(-1, 3).astype(np.int64),
        worn=worn,
        finishes=finishes,
    )


def _has_area(points: Field, faces: Indices) -> Bits:
    """Whether the three corners of each face lie in different places."""
    _, place = np.unique(points, axis=0, return_inverse=True)
    a, b, c = place.ravel()[faces].T
    return (a != b) & (b != c) & (c != a)
