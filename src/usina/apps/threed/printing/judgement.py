"""Whether a body can be printed, in numbers and in plain words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np

from usina.apps.threed.mesh import Measures, Mesh, face_areas, face_normals, measure, shell_volumes
from usina.apps.threed.printing.wall import Walls, measure_walls
from usina.imaging.array import Bits, Field
from usina.imaging.notice import Notice

PRINTER_MM = (220.0, 220.0, 250.0)
"""The room of a common desktop printer: width, depth and height."""

OVERHANG_DEGREES = 45.0
THIN_MM = 0.8
"""Two lines of a common nozzle of 0.4 mm."""

LAYER_MM = 0.2
THIN_SHARE, _OVERHANG_SHARE, _CONTACT_SHARE = 0.005, 0.05, 0.02


@dataclass(frozen=True, slots=True)
class Judgement:
    """In millimetres. ``shells`` are closed surfaces that share no point, ``cavities`` those
    turned inside out; ``overhang`` is the share of the surface that leans further than
    ``overhang_degrees`` from upright and does not lie on the bed; ``contact_mm2`` what lies on it,
    less than one layer high. ``objects`` is how many bodies it is meant to be."""

    measures: Measures
    walls: Walls
    shells: int
    cavities: int
    overhang: float
    overhang_degrees: float
    contact_mm2: float
    objects: int

    @property
    def bodies(self) -> int:
        return self.shells - self.cavities

    @property
    def thin_share(self) -> float:
        """The share of the surface whose walls may break."""
        return self.walls.thinner_than(THIN_MM)

    @property
    def size_mm(self) -> Field:
        return np.ptp(self.measures.bounds, axis=0)

    @property
    def scale_to_fit(self) -> float:
        """By how much it may be scaled and still fits the printer, turned a quarter if need be."""
        room, across, height = sorted(PRINTER_MM[:2]), sorted(self.size_mm[:2]), self.size_mm[2]
        scales = (room[0] / across[0], room[1] / across[1], PRINTER_MM[2] / height)
        return float(min(scales))

    def as_json(self) -> dict[str, Any]:
        wall, gap = float(self.walls.thickness.min()), float(self.walls.gap.min())
        return {
            "watertight": self.measures.watertight,
            "shells": self.shells,
            "cavities": self.cavities,
            "size_mm": self.size_mm.round(3).tolist(),
            "volume_ml": round(self.measures.volume / 1000, 4),
            "printer_mm": list(PRINTER_MM),
            "fits_printer": self.scale_to_fit >= 1,
            "min_wall_mm": _told(wall),
            "min_gap_mm": _told(gap),
            "smallest_feature_mm": _told(min(wall, gap)),
            "thin_share": round(self.thin_share, 4),
            "overhang_degrees": self.overhang_degrees,
            "overhang_share": round(self.overhang, 4),
            "bed_contact_mm2": round(self.contact_mm2, 2),
            "warnings": [notice.as_json() for notice in _doubts(self)],
        }


def judge(
    mesh: Mesh,
    *,
    objects: int = 1,
    overhang_degrees: float = OVERHANG_DEGREES,
    between: Callable[[], None] = lambda: None,
) -> Judgement:
    """Judge a body, or ``objects`` side by side, in millimetres, z up, on z = 0 (see `on_bed`).
    ``between`` is called now and then; it may raise to stop it."""
    area, normals = face_areas(mesh), face_normals(mesh)
    on_bed = (mesh.points[mesh.faces][:, :, 2] < LAYER_MM).all(axis=1) & (normals[:, 2] < 0)
    volumes = shell_volumes(mesh)
    leaning = normals[:, 2] < -np.sin(np.radians(overhang_degrees)) - 1e-6
    return Judgement(
        measures=measure(mesh.points, mesh.faces),
        walls=measure_walls(mesh, between),
        shells=len(volumes),
        cavities=int((volumes < 0).sum()),
        overhang=_share(leaning & ~on_bed, area),
        overhang_degrees=overhang_degrees,
        contact_mm2=float((area * np.abs(normals[:, 2]))[on_bed].sum()),
        objects=objects,
    )


def _share(which: Bits, area: Field) -> float:
    return float(area[which].sum() / area.sum())


def _told(length: float) -> float | None:
    return round(length, 3) if np.isfinite(length) else None


def _doubts(judged: Judgement) -> Iterator[Notice]:
    if not judged.measures.watertight:
        yield Notice("print_open", "The surface is not closed; a slicer fills it by guess.")
    if judged.scale_to_fit < 1:
        room = " x ".join(f"{side:g}" for side in PRINTER_MM)
        yield Notice(
            "print_too_large",
            f"It is larger than a common printer's {room} mm; "
            f"at {floor(1000 * judged.scale_to_fit) / 10:g} % of its size it fits.",
        )
    if judged.thin_share > THIN_SHARE:
        thinnest = float(judged.walls.thickness.min())
        yield Notice(
            "print_thin_walls",
            f"{100 * judged.thin_share:.1f} % of the surface has walls thinner than {THIN_MM:g} mm "
            f"(the thinnest found has {thinnest:.2f} mm) and may break or be left out. Make it "
            "larger or thicker.",
        )
    if judged.overhang > _OVERHANG_SHARE:
        yield Notice(
            "print_overhangs",
            f"{100 * judged.overhang:.0f} % of the surface leans further than "
            f"{judged.overhang_degrees:g} degrees over nothing: print it with supports.",
        )
    if judged.contact_mm2 < _CONTACT_SHARE * float(np.prod(judged.size_mm[:2])):
        yield Notice(
            "print_little_contact",
            f"Only {judged.contact_mm2:.0f} mm2 touch the bed: print it with a brim or a raft, "
            "or cut a flat foot.",
        )
    yield from _doubts_of_bodies(judged)


def _doubts_of_bodies(judged: Judgement) -> Iterator[Notice]:
    if judged.bodies > judged.objects:
        what = "It is" if judged.objects == 1 else f"Its {judged.objects} objects are"
        yield Notice("print_pieces", f"{what} {judged.bodies} bodies that do not hang together.")
    if judged.cavities:
        yield Notice(
            "print_cavity",
            f"It encloses {judged.cavities} hollow(s) without a way out; powder or resin "
            "stays inside.",
        )
