"""The particles of a bed: one shape, where each lies and how it is turned; and their CSV.

All lengths are in metres. The tube's axis is z, its floor lies at z = 0, its axis at x = y = 0.
"""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast, get_args

import numpy as np

from usina.imaging.array import Field
from usina_runner import InvalidInput

Kind: TypeAlias = Literal["sphere", "cylinder", "cube", "ring"]

MOST: Final = 100_000
"""The most particles of a file."""

PLACE: Final = ("x_m", "y_m", "z_m", "diameter_m")
COLUMNS: Final = (*PLACE, "shape", "length_m", "inner_diameter_m", "qw", "qx", "qy", "qz")

_FARTHEST = 1000.0
_SAME = 1e-6
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Shape:
    """A sphere of a diameter; a cylinder or a ring of an (outer) diameter, along its own z axis for
    ``length_m``, the ring with a bore of ``inner_diameter_m``; a cube with edges of
    ``diameter_m``. What a kind does not have is 0. Raises ``ValueError``."""

    kind: Kind
    diameter_m: float
    length_m: float = 0.0
    inner_diameter_m: float = 0.0

    def __post_init__(self) -> None:
        if not self.diameter_m > 0:
            raise ValueError("a diameter is positive")
        if (self.kind in ("cylinder", "ring")) != (self.length_m > 0):
            raise ValueError("a cylinder and a ring have a length, nothing else does")
        if (self.kind == "ring") != (self.inner_diameter_m > 0):
            raise ValueError("a ring has a bore, nothing else does")
        if self.inner_diameter_m >= self.diameter_m:
            raise ValueError("a bore is narrower than its ring")

    @property
    def volume_m3(self) -> float:
        across = self.diameter_m
        if self.kind == "sphere":
            return math.pi * across**3 / 6
        if self.kind == "cube":
            return across**3
        return math.pi * (across**2 - self.inner_diameter_m**2) / 4 * self.length_m

    @property
    def surface_m2(self) -> float:
        across, bore = self.diameter_m, self.inner_diameter_m
        if self.kind == "sphere":
            return math.pi * across**2
        if self.kind == "cube":
            return 6 * across**2
        ends = 2 * math.pi * (across**2 - bore**2) / 4
        return ends + math.pi * (across + bore) * self.length_m

    @property
    def equivalent_diameter_m(self) -> float:
        """Of the sphere of equal volume."""
        return float(np.cbrt(6 * self.volume_m3 / math.pi))

    @property
    def sauter_diameter_m(self) -> float:
        """Of the sphere with the same surface per volume: six volumes over one surface."""
        return 6 * self.volume_m3 / self.surface_m2

    @property
    def sphericity(self) -> float:
        """The surface of that sphere over the particle's own (Wadell 1932): 1 for a sphere."""
        return math.pi * self.equivalent_diameter_m**2 / self.surface_m2

    @property
    def reach_m(self) -> float:
        """The radius of the smallest sphere around it."""
        if self.kind == "sphere":
            return self.diameter_m / 2
        if self.kind == "cube":
            return self.diameter_m * math.sqrt(3) / 2
        return math.hypot(self.diameter_m, self.length_m) / 2


@dataclass(frozen=True, slots=True)
class Particles:
    """``centres`` ``(n, 3)`` in metres; ``quaternions`` ``(n, 4)`` as w, x, y, z of unit length
    turn the shape from its own axes into the tube's."""

    shape: Shape
    centres: Field
    quaternions: Field

    def __len__(self) -> int:
        return len(self.centres)

    def rotations(self) -> Field:
        """``(n, 3, 3)``: the matrices of the quaternions."""
        w, x, y, z = self.quaternions.T
        rows = (
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )
        return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)

    def extents(self) -> Field:
        """``(n, 2)``: how far each reaches along z, up or down, and from the axis, in metres. From
        the axis it is exact for spheres and cubes; the rims of others are taken as 48-gons."""
        if self.shape.kind == "sphere":
            radius = self.shape.diameter_m / 2
            out = np.hypot(self.centres[:, 0], self.centres[:, 1]) + radius
            return np.column_stack([np.full(len(self), radius), out])
        corners = np.einsum("nij,cj->nci", self.rotations(), _corners(self.shape))
        away = np.hypot(*np.moveaxis(corners[..., :2] + self.centres[:, None, :2], -1, 0))
        return np.column_stack([corners[..., 2].max(axis=1), away.max(axis=1)])


def spheres(diameter_m: float, centres: Field) -> Particles:
    """Spheres of one diameter, not turned."""
    turned = np.zeros((len(centres), 4))
    turned[:, 0] = 1
    return Particles(Shape("sphere", diameter_m), np.ascontiguousarray(centres, float), turned)


def write_particles(path: Path, particles: Particles) -> None:
    """Every number as the shortest text that is read back as the same one."""
    shape = particles.shape
    middle = [shape.kind, repr(shape.length_m), repr(shape.inner_diameter_m)]
    across = repr(shape.diameter_m)
    with path.open("w", encoding="ascii", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        rows = zip(particles.centres.tolist(), particles.quaternions.tolist(), strict=True)
        for centre, turn in rows:
            file.write(",".join([*map(repr, centre), across, *middle, *map(repr, turn)]) + "\n")


def read_particles(path: Path) -> Particles:
    """Of a CSV with the columns `COLUMNS` in any order, or only those of `PLACE`, which are
    spheres. Raises ``InvalidInput`` with the line and the column of what is wrong."""
    text = _text(path)
    lines = csv.reader(io.StringIO(text), strict=True)
    try:
        header = next(lines, None)
        where = _columns(header)
        told = [_row(row, where, lines.line_num) for row in lines if row]
    except csv.Error as error:
        raise InvalidInput("bed_malformed", f"Line {lines.line_num}: {error}.") from None
    if not told:
        raise InvalidInput("bed_empty", "The file names no particle below its header.")
    shape = _one_shape([row[1] for row in told])
    numbers = np.array([row[0] for row in told], dtype=np.float64)
    return Particles(shape, numbers[:, :3].copy(), numbers[:, 3:].copy())


def _corners(shape: Shape) -> Field:
    """``(c, 3)``: points whose hull is the shape, about its centre."""
    half = shape.diameter_m / 2
    if shape.kind == "cube":
        return half * np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    rim = np.column_stack([half * np.cos(turn), half * np.sin(turn)])
    low, high = (np.full(len(rim), sign * shape.length_m / 2) for sign in (-1, 1))
    return np.concatenate([np.column_stack([rim, low]), np.column_stack([rim, high])])


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        raise InvalidInput("bed_too_large", f"A bed's file has at most {_MOST_BYTES >> 20} MiB.")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput("bed_malformed", "The file is not text in UTF-8.") from None


def _columns(header: Sequence[str] | None) -> dict[str, int]:
    """Where each column stands."""
    names = [name.strip() for name in header or ()]
    missing = [name for name in PLACE if name not in names]
    if len(names) > len(PLACE):
        missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InvalidInput(
            "bed_columns",
            f"Line 1 lacks the column {missing[0]}; it names {', '.join(COLUMNS)}, or the first "
            "four of them for spheres.",
        )
    known = [name for name in names if name in COLUMNS]
    if len(known) != len(set(known)) or len(known) != len(names):
        raise InvalidInput("bed_columns", "Line 1 names a column that is unknown or there twice.")
    return {name: place for place, name in enumerate(names)}


def _row(row: Sequence[str], where: dict[str, int], line: int) -> tuple[list[float], Shape]:
    """The centre and the quaternion, and the shape, of one line."""
    if line > MOST + 1:
        raise InvalidInput("bed_too_many", f"A bed has at most {MOST} particles.")
    if len(row) != len(where):
        raise InvalidInput(
            "bed_malformed", f"Line {line} has {len(row)} columns; line 1 has {len(where)}."
        )
    centre = [_number(row, where, name, line) for name in PLACE[:3]]
    across = _number(row, where, "diameter_m", line)
    if "shape" not in where:
        return [*centre, 1.0, 0.0, 0.0, 0.0], _shape("sphere", (across, 0.0, 0.0), line)
    rest = (_number(row, where, name, line) for name in COLUMNS[5:])
    length, bore, *turn = rest
    size = math.hypot(*turn)
    if not 0.5 < size < 2:
        raise InvalidInput("bed_number", f"Line {line}: qw, qx, qy, qz are no rotation.")
    kind = row[where["shape"]].strip()
    return [*centre, *(part / size for part in turn)], _shape(kind, (across, length, bore), line)


def _number(row: Sequence[str], where: dict[str, int], name: str, line: int) -> float:
    text = row[where[name]]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= _FARTHEST:
        raise InvalidInput(
            "bed_number",
            f"Line {line}, column {name}: {text[:40]!r} is no number from -1000 to 1000.",
        )
    return value


def _shape(kind: str, sizes: tuple[float, float, float], line: int) -> Shape:
    if kind not in get_args(Kind):
        known = ", ".join(get_args(Kind))
        raise InvalidInput(
            "bed_shape", f"Line {line}, column shape: {kind[:40]!r} is none of {known}."
        )
    try:
        return Shape(cast("Kind", kind), *sizes)
    except ValueError as error:
        raise InvalidInput("bed_shape", f"Line {line}: {error}.") from None


def _one_shape(shapes: Sequence[Shape]) -> Shape:
    """All particles of a bed have one shape and size."""
    first = shapes[0]
    for line, other in _later(shapes):
        if other.kind != first.kind:
            raise InvalidInput(
                "bed_mixed", f"Line {line} is a {other.kind}; line 2 is a {first.kind}."
            )
        gaps = (
            (first.diameter_m, other.diameter_m),
            (first.length_m, other.length_m),
            (first.inner_diameter_m, other.inner_diameter_m),
        )
        if any(abs(one - two) > _SAME * first.diameter_m for one, two in gaps):
            raise InvalidInput("bed_mixed", f"Line {line} has another size than line 2.")
    return first


def _later(shapes: Sequence[Shape]) -> Iterator[tuple[int, Shape]]:
    return ((place + 2, shape) for place, shape in enumerate(shapes) if shape is not shapes[0])
