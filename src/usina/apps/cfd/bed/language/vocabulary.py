"""Every word of the `.bed` format: where it stands in a bed, and in which unit it is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Dimension(Enum):
    """A physical quantity, by the word for it."""

    LENGTH = "length"
    MASS = "mass"
    TIME = "time"
    PRESSURE = "pressure"
    FORCE = "force"
    VELOCITY = "velocity"
    ACCELERATION = "acceleration"
    DENSITY = "density"
    VISCOSITY = "viscosity"

    @property
    def units(self) -> Mapping[str, str]:
        """Each as so many of the SI one, which comes first."""
        return _UNITS[self]

    @property
    def unit(self) -> str:
        """The SI one."""
        return next(iter(self.units))


_UNITS: Final[Mapping[Dimension, Mapping[str, str]]] = {
    Dimension.LENGTH: {"m": "1", "cm": "0.01", "mm": "0.001"},
    Dimension.MASS: {"kg": "1", "g": "0.001"},
    Dimension.TIME: {"s": "1"},
    Dimension.PRESSURE: {"Pa": "1"},
    Dimension.FORCE: {"N": "1"},
    Dimension.VELOCITY: {"m/s": "1"},
    Dimension.ACCELERATION: {"m/s2": "1", "m/s\N{SUPERSCRIPT TWO}": "1"},
    Dimension.DENSITY: {"kg/m3": "1", "kg/m\N{SUPERSCRIPT THREE}": "1"},
    Dimension.VISCOSITY: {"Pa.s": "1"},
}
DIMENSIONS: Final = {unit: dimension for dimension, units in _UNITS.items() for unit in units}
"""What each unit measures."""


class Kind(Enum):
    """Values without a unit."""

    NUMBER = "a number without a unit"
    WHOLE = "a whole number"
    WORD = "a word or a text in quotes"
    FLAG = "true or false"
    WORDS = 'a list such as ["stl"]'


@dataclass(frozen=True, slots=True)
class Entry:
    """``path`` is the place in the JSON of a bed."""

    path: tuple[str, ...]
    value: Dimension | Kind


def _of(group: str, **entries: tuple[str, Dimension | Kind]) -> dict[str, Entry]:
    prefix = (group,) if group else ()
    return {word: Entry((*prefix, name), value) for word, (name, value) in entries.items()}


_LENGTH, _NUMBER, _WHOLE, _WORD = Dimension.LENGTH, Kind.NUMBER, Kind.WHOLE, Kind.WORD

SECTIONS: Final[Mapping[str, Mapping[str, Entry]]] = {
    "bed": _of(
        "",
        diameter=("diameter_m", _LENGTH),
        height=("height_m", _LENGTH),
        wall_thickness=("wall_thickness_m", _LENGTH),
        clearance=("clearance_m", _LENGTH),
        material=("material", _WORD),
        roughness=("roughness_m", _LENGTH),
    ),
    "lids": _of(
        "lids",
        top_type=("top_type", _WORD),
        bottom_type=("bottom_type", _WORD),
        top_thickness=("top_thickness_m", _LENGTH),
        bottom_thickness=("bottom_thickness_m", _LENGTH),
        seal_clearance=("seal_clearance_m", _LENGTH),
    ),
    "particles": {
        **_of(
            "",
            kind=("particle_shape", _WORD),
            diameter=("particle_diameter_m", _LENGTH),
            count=("particle_count", _WHOLE),
            target_porosity=("target_porosity", _NUMBER),
            seed=("seed", _WHOLE),
        ),
        **_of(
            "particles",
            density=("density_kg_m3", Dimension.DENSITY),
            mass=("mass_kg", Dimension.MASS),
            restitution=("restitution", _NUMBER),
            friction=("friction", _NUMBER),
            rolling_friction=("rolling_friction", _NUMBER),
            linear_damping=("linear_damping", _NUMBER),
            angular_damping=("angular_damping", _NUMBER),
        ),
    },
    "packing": {
        **_of(
            "packing",
            method=("method", _WORD),
            gravity=("gravity_m_s2", Dimension.ACCELERATION),
            substeps=("substeps", _WHOLE),
            iterations=("iterations", _WHOLE),
            damping=("damping", _NUMBER),
            rest_velocity=("rest_velocity_m_s", Dimension.VELOCITY),
            max_time=("max_time_s", Dimension.TIME),
            collision_margin=("collision_margin_m", _LENGTH),
            gap=("gap_m", _LENGTH),
            random_seed=("random_seed", _WHOLE),
            max_placement_attempts=("max_placement_attempts", _WHOLE),
            strict_validation=("strict_validation", Kind.FLAG),
            mesh_segmentos=("mesh_segments", _WHOLE),
            sphere_lat=("sphere_latitudes", _WHOLE),
            sphere_lon=("sphere_longitudes", _WHOLE),
        ),
        **_of("", height=("packing_height_m", _LENGTH), generator=("generator", _WORD)),
    },
    "export": _of(
        "export",
        formats=("formats", Kind.WORDS),
        units=("units", _WORD),
        scale=("scale", _NUMBER),
        wall_mode=("wall_mode", _WORD),
        fluid_mode=("fluid_mode", _WORD),
        manifold_check=("manifold_check", Kind.FLAG),
        merge_distance=("merge_distance_m", _LENGTH),
    ),
    "cfd": _of(
        "cfd",
        regime=("regime", _WORD),
        inlet_velocity=("inlet_velocity_m_s", Dimension.VELOCITY),
        fluid_density=("fluid_density_kg_m3", Dimension.DENSITY),
        fluid_viscosity=("fluid_viscosity_pa_s", Dimension.VISCOSITY),
        max_iterations=("max_iterations", _WHOLE),
        convergence_criteria=("convergence_criteria", _NUMBER),
        write_fields=("write_fields", Kind.FLAG),
    ),
}
"""By section and word. `height` and `generator` of the packing are additions to the origin's."""


def usual_generator(method: str | None) -> str:
    """What packs a bed whose text names no generator: rigid bodies were Blender's in the origin."""
    return "packed-bed-blender" if method == "rigid_body" else "packed-bed-v1"
