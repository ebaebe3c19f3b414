"""An object blown up from its silhouette.

The membrane that an even pressure lifts over the silhouette, held at its rim, solves Poisson's
equation ``laplace(u) = -1``, ``u = 0`` on the rim. The root of ``u`` turns its paraboloids into
round shapes: over a disc of radius R, ``u = (R^2 - r^2) / 4``, and the root is an ellipsoid's
height. Solved by linear finite elements on the sheet itself, so that the rim is exact between
pixels. Where the object runs out of the picture it is not held: there it ends in a flat cut.
"""

from dataclasses import dataclass

import numpy as np

from usina.apps.threed.interpolate import between_points
from usina.apps.threed.mesh import Mesh, close_sheet, face_normals
from usina.apps.threed.numeric import solve_symmetric
from usina.apps.threed.sheet import Sheet, fill_contour
from usina.imaging.array import Bits, Field, Indices
from usina.imaging.opencv import distance

_WALL = 0.4
"""Height of the wall that joins front and back, in pixels of the mask."""

_FINEST, _COARSEST = 1.25, 6.0
_REDUNDANCY = 6
"""How many triangles are made for each one wanted, so that decimation can choose."""

_SPARE = 1.15
"""How many at least."""

_LEAST_HELD = 0.1
_SNAP, _APART = 0.75, 0.02


@dataclass(frozen=True, slots=True)
class Balloon:
    """``height`` ``(n,)`` is half the thickness over the points of ``sheet``; ``slope`` ``(n, 2)``
    is the gradient of half its square, which unlike its own is finite at the rim; ``frame`` is
    the width and height of the picture, all in pixels of the mask."""

    sheet: Sheet
    height: Field
    slope: Field
    frame: tuple[int, int]

    def mesh(self) -> Mesh:
        half = self.height + _WALL / 2
        return close_sheet(self.sheet, half, -half)

    def corner_normals(self, mesh: Mesh) -> Field:
        """``(m, 3, 3)`` for the corners of a simplified ``mesh``: those of the surface
        ``z^2 = height^2``, exact where triangles only approximate it; flat where it is cut."""
        flat = mesh.points[:, :2] * np.array([1.0, -1.0])
        slope = between_points(self.sheet.points, self.slope, flat)
        smooth = np.column_stack([-slope[:, 0], slope[:, 1], mesh.points[:, 2]])
        normals = smooth[mesh.faces]
        cut = self._cut(flat[mesh.faces])
        normals[cut] = face_normals(mesh)[cut][:, None, :]
        return normals

    def _cut(self, corner: Field) -> Bits:
        """Which triangles (``(m, 3, 2)``) lie in the picture's frame."""
        on_frame = np.abs(corner) < 0.01, np.abs(corner - np.array(self.frame)) < 0.01
        return (on_frame[0].all(axis=1) | on_frame[1].all(axis=1)).sum(axis=1) > 0


def inflate(inside: Field, *, depth: float, faces: int) -> Balloon:
    """Blow up the part of ``inside`` above 0.5 until it is ``depth`` times as thick as it is wide
    (as the largest circle in it); fine enough to be simplified to ``faces`` triangles."""
    rows, columns = inside.shape
    step = _step(inside, faces)
    sheet, at_frame = _snap(fill_contour(inside, step), columns, rows, step=step)
    held = sheet.on_rim & ~at_frame
    enclosed = held.sum() < _LEAST_HELD * sheet.on_rim.sum()
    if enclosed:
        held = sheet.on_rim
    lifted = np.maximum(_solve(sheet, held), 0)
    scale = (depth * _width(inside, enclosed=enclosed) / 2) ** 2 / max(float(lifted.max()), 1e-12)
    slope = _gradient(sheet, lifted) * (scale / 2)
    return Balloon(sheet, np.sqrt(lifted * scale), slope, (columns, rows))


def _step(inside: Field, faces: int) -> float:
    """The width of the sheet's triangles: two to a square on either side. No finer than the mask
    unless so many triangles are asked for."""
    area = float((inside > 0.5).sum())
    wanted = float(np.clip(np.sqrt(4 * area / (_REDUNDANCY * faces)), _FINEST, _COARSEST))
    return min(wanted, float(np.sqrt(4 * area / (_SPARE * faces))))


def _width(inside: Field, *, enclosed: bool) -> float:
    """The diameter of the largest circle in the object, which may run out of the picture unless
    it is ``enclosed`` by it."""
    bits = inside > 0.5
    return 2 * float(distance(np.pad(bits, 1) if enclosed else bits).max())


def _snap(sheet: Sheet, width: int, height: int, *, step: float) -> tuple[Sheet, Bits]:
    """Put the rim's points near the picture's frame exactly there, and say which they are; one
    that would fall upon another stays where it is."""
    points = sheet.points.copy()
    snapped = np.zeros(len(points), dtype=np.bool_)
    for axis, limit in ((0, 0), (0, width), (1, 0), (1, height)):
        off = np.abs(sheet.points[:, axis] - limit)
        near = np.flatnonzero(sheet.on_rim & (off < _SNAP * step))
        near = near[np.argsort(points[near, 1 - axis], kind="stable")]
        apart = np.diff(points[near, 1 - axis], prepend=-np.inf) > _APART * step
        points[near[apart], axis] = limit
        snapped[near[apart]] = True
    return Sheet(points, sheet.faces, sheet.rim), snapped


def _solve(sheet: Sheet, held: Bits) -> Field:
    """The lift under a pressure of 1 over the points of the sheet, by the cotangent matrix."""
    faces, corner = sheet.faces, sheet.points[sheet.faces]
    area = _areas(corner)
    rows: list[Indices] = []
    columns: list[Indices] = []
    values: list[Field] = []
    for opposite in range(3):
        first, second = (opposite + 1) % 3, (opposite + 2) % 3
        i, j = faces[:, first], faces[:, second]
        sides = (corner[:, first] - corner[:, opposite]) * (corner[:, second] - corner[:, opposite])
        half_cotangent = sides.sum(axis=1) / (4 * area)
        rows += [i, j, i, j]
        columns += [j, i, i, j]
        values += [-half_cotangent, -half_cotangent, half_cotangent, half_cotangent]
    load = np.zeros(len(sheet.points))
    np.add.at(load, faces.ravel(), np.repeat(area / 3, 3))
    return solve_symmetric(
        np.concatenate(rows), np.concatenate(columns), np.concatenate(values), load, held
    )


def _gradient(sheet: Sheet, values: Field) -> Field:
    """``(n, 2)``: the gradient over the sheet, averaged over the triangles at each point."""
    corner = sheet.points[sheet.faces]
    area = _areas(corner)
    total = np.zeros((len(sheet.points), 2))
    flux = np.zeros((len(sheet.faces), 2))
    for at in range(3):
        along = corner[:, (at + 2) % 3] - corner[:, (at + 1) % 3]
        flux += values[sheet.faces[:, at], None] * np.column_stack([along[:, 1], -along[:, 0]]) / 2
    for axis in range(2):
        total[:, axis] = np.bincount(
            sheet.faces.ravel(), np.repeat(flux[:, axis], 3), minlength=len(total)
        )
    weight = np.bincount(sheet.faces.ravel(), np.repeat(area, 3), minlength=len(total))
    return total / weight[:, None]


def _areas(corner: Field) -> Field:
    a, b = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    return np.maximum(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2, 1e-9)
