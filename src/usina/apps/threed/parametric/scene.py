"""Bodies side by side on the ground, as one surface in glTF's axes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from manifold3d import Manifold, OpType

from usina.apps.threed.finish import Finish
from usina.apps.threed.mesh import is_watertight, merged, unit
from usina.apps.threed.painted import Painted
from usina.apps.threed.parametric.body import Body
from usina.apps.threed.parametric.refusal import scene_too_fine
from usina.apps.threed.parametric.solid import box_of, polyhedron_of
from usina.imaging.array import Bits, Field, Indices
from usina.imaging.notice import Notice

_SHARP_DEGREES = 38.0
_APART = 0.18
_DETAILS = (1e-6, 1e-5, 1e-4, 2e-4, 3e-4, 5e-4)
"""Edges shorter than such a share of the size of a body may vanish; the least is taken that leaves
the surface closed in the 32 bits of a file, and the scene at most so large."""

_UNSEEN = 1e-4
MOST_FACES = 250_000
"""Of a whole scene."""

_IN_A_ROW = 4
_UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True)
class Scene:
    painted: Painted
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    """The outside of the union of a body's parts; ``number`` says by the id of its original which
    of the ``finishes`` a face wears."""

    solid: Manifold
    number: dict[int, int]
    finishes: tuple[Finish, ...]

    @property
    def size(self) -> float:
        return float(np.ptp(box_of(self.solid), axis=0).max())


@dataclass(frozen=True, slots=True)
class Shell:
    """The surface of one body, z up, as it was built; ``worn`` counts its ``finishes``."""

    points: Field
    normals: Field
    faces: Indices
    worn: Indices
    finishes: tuple[Finish, ...]


def compose(bodies: Sequence[Body], *, between: Callable[[], None] = lambda: None) -> Scene:
    """All bodies side by side, closed as written, of at most `MOST_FACES` triangles; the same body
    is looked at once. Before each ``between`` is called, which may raise to stop it.

    Raises `InvalidInput` ``scene_too_fine`` where even coarser edges leave more.
    """
    wholes: dict[int, Whole] = {}
    for body in bodies:
        if id(body) not in wholes:
            between()
            wholes[id(body)] = join(body)
    painted: Painted | None = None
    faces, detail = 0, 0.0
    for detail in _DETAILS:
        between()
        shells = {key: shell_of(whole, detail) for key, whole in wholes.items()}
        faces = sum(len(shells[id(body)].faces) for body in bodies)
        if faces > MOST_FACES:
            continue
        painted = arrange([shells[id(body)] for body in bodies])
        if is_watertight(merged(painted.points, painted.faces).faces):
            break
    if painted is None:
        raise scene_too_fine(len(bodies), faces, MOST_FACES)
    left_out = detail * max(whole.size for whole in wholes.values())
    return Scene(painted, (_coarser(left_out),) if detail > _UNSEEN else ())


def _coarser(left_out: float) -> Notice:
    return Notice(
        "scene_coarser",
        f"Details below {1000 * left_out:.2g} mm were left out, so that the scene has at most "
        f"{MOST_FACES} triangles. Ask for fewer objects to have them.",
    )


def join(body: Body) -> Whole:
    originals = [part.solid.as_original() for part in body]
    number = {solid.original_id(): at for at, solid in enumerate(originals)}
    solid = Manifold.batch_boolean(originals, OpType.Add)
    return Whole(solid, number, tuple(part.finish for part in body))


def shell_of(whole: Whole, detail: float = _DETAILS[0]) -> Shell:
    """Without edges shorter than the share ``detail`` of its size."""
    solid = whole.solid.simplify(detail * whole.size)
    normal = solid.calculate_normals(0, _SHARP_DEGREES)
    table, faces, ends, originals_in_turn = polyhedron_of(normal)
    worn = [whole.number[each] for each in originals_in_turn]
    return Shell(
        points=table[:, :3],
        normals=table[:, 3:6],
        faces=faces,
        worn=np.repeat(np.array(worn, dtype=np.int64), np.diff(ends)),
        finishes=whole.finishes,
    )


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
