"""What is asked of `bed-flow-lbm`: its parameters, and the piece of the bed that is computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np

from usina.apps.cfd.correlation import (
    Bed,
    Flow,
    Kind,
    eisfeld_schnitzlein,
    kind_of,
    particle_reynolds,
)
from usina.apps.cfd.lattice.domain import BYTES_PER_NODE
from usina.apps.cfd.lattice.voxel import box_of
from usina.apps.cfd.particles import Particles
from usina.apps.cfd.porosity import porosity_between, tube_for
from usina.imaging.array import Field
from usina_runner import InvalidInput

MEMORY_BYTES: Final = 2 << 30
"""What the manifest reserves."""

SHORTEST_DIAMETERS: Final = 2
"""Of the core, in particle diameters."""

_OTHER_BYTES: Final = 400 << 20
_BYTES_PER_VOXEL: Final = 12
_WORK_BYTES_PER_NODE: Final = 160
_DEEPEST: Final = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """``velocities_m_s`` are superficial. ``resolution``: voxels per particle diameter;
    ``length_diameters``: the longest piece of core that is computed."""

    density_kg_m3: float
    viscosity_pa_s: float
    velocities_m_s: tuple[float, ...]
    resolution: int
    length_diameters: float
    tolerance: float
    diameter_m: float | None
    streamlines: bool

    def flow(self, velocity_m_s: float) -> Flow:
        return Flow(self.density_kg_m3, self.viscosity_pa_s, velocity_m_s)


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a bed between two heights that stands for its core, and what it is like."""

    particles: Particles
    tube_diameter_m: float
    low_m: float
    high_m: float
    bed_height_m: float
    porosity: float

    @property
    def bed(self) -> Bed:
        """As correlations see it."""
        return Bed(self.porosity, self.particles.shape.sauter_diameter_m, self.tube_diameter_m)

    @property
    def kind(self) -> Kind:
        return kind_of(self.particles.shape)


def read_question(params: Mapping[str, Any]) -> Question:
    """Out of a job's parameters, which its schema has checked."""
    fluid, mesh, told = params["fluid"], params["mesh"], params["velocity_m_s"]
    velocities = cast("list[float]", told if isinstance(told, list) else [told])
    return Question(
        density_kg_m3=fluid.get("density_kg_m3", 1.2),
        viscosity_pa_s=fluid.get("viscosity_pa_s", 1.8e-5),
        velocities_m_s=tuple(float(each) for each in velocities),
        resolution=mesh.get("resolution", 12),
        length_diameters=mesh.get("length_diameters", 6),
        tolerance=mesh.get("tolerance", 1e-4),
        diameter_m=params.get("diameter_m"),
        streamlines=params.get("streamlines", True),
    )


def choose_piece(particles: Particles, question: Question) -> Piece:
    """The middle of the core, one particle diameter left out at each end of the bed. Raises
    ``InvalidInput`` where the bed has none, or is none."""
    tube = tube_for(particles, question.diameter_m)
    _needs_room_of_their_own(particles)
    across = particles.shape.diameter_m
    reach = particles.extents()[:, 0]
    low = float((particles.centres[:, 2] - reach).min())
    high = float((particles.centres[:, 2] + reach).max())
    core = high - low - 2 * across
    if core < SHORTEST_DIAMETERS * across * (1 - 1e-9):
        raise InvalidInput(
            "bed_too_short",
            f"The bed is {(high - low) / across:.1f} particle diameters high. Without one at each "
            f"end, a core of at least {SHORTEST_DIAMETERS} has to be left.",
        )
    half = min(core, question.length_diameters * across) / 2
    middle = (low + high) / 2
    voxel = across / question.resolution
    layers = box_of(tube, middle - half, middle + half, voxel)[0]
    low_m, high_m = middle - layers * voxel / 2, middle + layers * voxel / 2
    porosity = porosity_between(particles, tube, low_m, high_m).value
    if not 0.01 < porosity < 0.999:
        raise InvalidInput(
            "bed_porosity",
            f"The bed's core has a porosity of {porosity:.3f} in a tube of {tube:g} m; it is no "
            "packing.",
        )
    return Piece(particles, tube, low_m, high_m, high - low, porosity)


def check_velocities(piece: Piece, question: Question) -> None:
    """Raises ``InvalidInput`` for those that no part of the answer is valid for."""
    for place, velocity in enumerate(question.velocities_m_s):
        flow = question.flow(velocity)
        bounds = eisfeld_schnitzlein(piece.bed, flow, piece.kind).bounds[0]
        if bounds.value > bounds.most:
            fastest = velocity * bounds.most / bounds.value
            raise InvalidInput(
                "velocity_beyond_range",
                f"velocity_m_s[{place}] = {velocity:g} gives a particle Reynolds number of "
                f"{particle_reynolds(piece.bed, flow):.3g}, where no correlation holds: at most "
                f"{fastest:.3g} m/s.",
            )


def check_memory(piece: Piece, question: Question) -> None:
    """Raises ``InvalidInput`` with what would fit, where the voxels do not."""
    needed = _bytes(piece, question.resolution)
    if needed <= MEMORY_BYTES:
        return
    finest = question.resolution
    while finest > 1 and _bytes(piece, finest) > MEMORY_BYTES:
        finest -= 1
    length = (piece.high_m - piece.low_m) / piece.particles.shape.diameter_m
    room = (MEMORY_BYTES - _OTHER_BYTES) / (needed - _OTHER_BYTES)
    raise InvalidInput(
        "resolution_too_high",
        f"{question.resolution} voxels per particle diameter need {needed / 2**30:.1f} GiB for "
        f"{length:.1f} diameters of the bed; {MEMORY_BYTES / 2**30:g} GiB are there. A resolution "
        f"of {finest} fits, or length_diameters of {length * room:.1f}.",
    )


def _bytes(piece: Piece, resolution: int) -> float:
    voxel = piece.particles.shape.diameter_m / resolution
    layers, rows, columns = box_of(piece.tube_diameter_m, piece.low_m, piece.high_m, voxel)
    voxels = layers * rows * columns
    nodes = piece.porosity * np.pi / 4 * voxels
    return (
        _OTHER_BYTES
        + _BYTES_PER_VOXEL * voxels
        + (BYTES_PER_NODE + _WORK_BYTES_PER_NODE) * float(nodes)
    )


def _needs_room_of_their_own(particles: Particles) -> None:
    """Particles may touch, and spheres overlap a little as simulations leave them, not more."""
    shape = particles.shape
    room = {
        "sphere": shape.diameter_m,
        "cube": shape.diameter_m,
        "cylinder": min(shape.diameter_m, shape.length_m),
        "ring": min(shape.diameter_m - shape.inner_diameter_m, shape.length_m) / 2,
    }[shape.kind]
    distance, one, other = _closest(particles.centres)
    overlap = 1 - distance / room
    if overlap > _DEEPEST:
        raise InvalidInput(
            "particles_overlap",
            f"The particles of lines {one + 2} and {other + 2} overlap by {overlap:.0%} of a "
            f"diameter; up to {_DEEPEST:.0%} can be a simulation's slack.",
        )


def _closest(centres: Field) -> tuple[float, int, int]:
    """The smallest distance between two of ``(n, 3)``, and which two these are."""
    if len(centres) < 2:
        return float("inf"), 0, 0
    from scipy.spatial import KDTree  # pyright: ignore[reportMissingTypeStubs]

    tree: Any = KDTree(centres)
    found, which = tree.query(centres, k=2)
    one = int(np.argmin(found[:, 1]))
    pair = sorted({one, *(int(each) for each in which[one])})[:2]
    return float(found[one, 1]), pair[0], pair[1]
