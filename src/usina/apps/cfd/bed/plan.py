"""What a bed is: its measures and the origin's groups, in SI units, each within its bounds.

Bounds are those of the origin. All of it is kept and given back; what a generator takes by name is
handed on to it.
"""

import math
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from usina.apps.cfd.bed.text import Name, Word
from usina.http_kit.problem import invalid
from usina.kernel.errors import Invalid

DEFAULT_GENERATOR: Final = "packed-bed-v1"
_DENSEST: Final = math.pi / math.sqrt(18)
"""Of equal spheres (Hales 2005)."""

_DEFAULT_COUNT: Final = 100

Thickness = Annotated[float, Field(ge=0, le=0.5)]
Share = Annotated[float, Field(ge=0, le=1)]
LidType = Literal["flat", "hemispherical", "none"]
Format = Literal["blend", "stl", "stl_binary", "obj"]
Seed = Annotated[int, Field(ge=0, le=2_147_483_647)]


class Group(BaseModel):
    """Null is what nobody has said."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Lids(Group):
    top_type: LidType | None = None
    bottom_type: LidType | None = None
    top_thickness_m: Thickness | None = None
    bottom_thickness_m: Thickness | None = None
    seal_clearance_m: Thickness | None = None


class Particles(Group):
    density_kg_m3: Annotated[float, Field(gt=0, le=30_000)] | None = None
    mass_kg: Annotated[float, Field(gt=0, le=100)] | None = None
    restitution: Share | None = None
    friction: Annotated[float, Field(ge=0, le=10)] | None = None
    rolling_friction: Annotated[float, Field(ge=0, le=10)] | None = None
    linear_damping: Share | None = None
    angular_damping: Share | None = None


class Packing(Group):
    method: Annotated[
        Literal["rigid_body", "spherical_packing", "hexagonal_3d"] | None,
        Field(description="The origin's name of the method; follows from `method` where null."),
    ] = None
    gravity_m_s2: Annotated[float, Field(ge=-100, le=100)] | None = None
    substeps: Annotated[int, Field(ge=1, le=1000)] | None = None
    iterations: Annotated[int, Field(ge=1, le=10_000)] | None = None
    damping: Share | None = None
    rest_velocity_m_s: Annotated[float, Field(gt=0, le=10)] | None = None
    max_time_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    collision_margin_m: Annotated[float, Field(ge=0, le=0.1)] | None = None
    gap_m: Annotated[float, Field(ge=0, le=0.1)] | None = None
    random_seed: Seed | None = None
    max_placement_attempts: Annotated[int, Field(ge=1, le=500_000)] | None = None
    strict_validation: bool | None = None
    mesh_segments: Annotated[int, Field(ge=3, le=1024)] | None = None
    sphere_latitudes: Annotated[int, Field(ge=3, le=256)] | None = None
    sphere_longitudes: Annotated[int, Field(ge=3, le=256)] | None = None


class Export(Group):
    formats: Annotated[list[Format], Field(min_length=1, max_length=4)] | None = None
    units: Literal["m", "cm", "mm"] | None = None
    scale: Annotated[float, Field(ge=1e-6, le=1e6)] | None = None
    wall_mode: Literal["surface", "solid"] | None = None
    fluid_mode: Literal["none", "cavity"] | None = None
    manifold_check: bool | None = None
    merge_distance_m: Annotated[float, Field(ge=0, le=0.1)] | None = None


class Cfd(Group):
    """What a simulation of the bed begins with."""

    regime: Literal["laminar", "turbulent_rans"] | None = None
    inlet_velocity_m_s: Annotated[float, Field(gt=0, le=1000)] | None = None
    fluid_density_kg_m3: Annotated[float, Field(gt=0, le=30_000)] | None = None
    fluid_viscosity_pa_s: Annotated[float, Field(gt=0, le=1e4)] | None = None
    max_iterations: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    convergence_criteria: Annotated[float, Field(ge=1e-12, le=1)] | None = None
    write_fields: bool | None = None


class BedPlan(Group):
    """A bed to be. `particle_count` and `packing_height_m` exclude each other."""

    name: Name
    diameter_m: float = Field(0.05, ge=0.01, le=1, description="Of the tube, inside.")
    height_m: float = Field(0.1, ge=0.01, le=2, description="Of the tube.")
    particle_diameter_m: float = Field(0.005, ge=0.001, le=0.1)
    particle_count: int | None = Field(
        None, ge=10, le=10_000, description="100 where neither this nor the height is given."
    )
    packing_height_m: float | None = Field(
        None, gt=0, le=2, description="Fill up to this height, however many that takes."
    )
    particle_shape: Literal["sphere", "cylinder", "cube", "ring"] = "sphere"
    target_porosity: float | None = Field(None, gt=0, lt=1)
    method: Literal["gravity", "hexagonal"] = "gravity"
    seed: Seed = 42
    generator: Annotated[str, Field(min_length=1, max_length=128)] = DEFAULT_GENERATOR
    wall_thickness_m: Thickness | None = None
    clearance_m: Thickness | None = None
    material: Word | None = None
    roughness_m: Annotated[float, Field(ge=0, le=0.01)] | None = None
    lids: Lids = Lids()
    packing: Packing = Packing()
    particles: Particles = Particles()
    export: Export = Export()
    cfd: Cfd = Cfd()


_PLAN: Final = TypeAdapter(BedPlan)
_PACKINGS: Final = {"hexagonal_3d": "hexagonal"}
"""The method of each of the origin's; any other is by gravity."""


def read_plan(given: dict[str, Any]) -> BedPlan:
    """The bed that is asked for; raises ``Invalid`` with a pointer for each wrong place."""
    try:
        plan = _PLAN.validate_python(_with_method(given), strict=True)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False)) from error
    _refuse_contradictions(plan)
    if plan.particle_count is None and plan.packing_height_m is None:
        plan = plan.model_copy(update={"particle_count": _DEFAULT_COUNT})
    _refuse_too_full(plan)
    named = plan.packing.model_copy(update={"method": _origins_method(plan)})
    return plan.model_copy(update={"packing": named})


def changed(plan: BedPlan, given: dict[str, Any]) -> BedPlan:
    """The bed with what is given in place of what it was; what is left out stays."""
    kept = plan.model_dump()
    if given.get("packing_height_m") is not None:
        kept["particle_count"] = None
    if given.get("particle_count") is not None:
        kept["packing_height_m"] = None
    if given.keys() & {"method", "generator"}:
        kept["packing"]["method"] = None
    return read_plan({**kept, **given})


def _with_method(given: dict[str, Any]) -> dict[str, Any]:
    """The method may be told by the origin's name alone."""
    packing: Any = given.get("packing")
    named: Any = packing.get("method") if isinstance(packing, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if "method" in given or not isinstance(named, str):
        return given
    return {**given, "method": _PACKINGS.get(named, "gravity")}


def _origins_method(plan: BedPlan) -> str:
    if plan.packing.method is not None:
        return plan.packing.method
    if plan.method == "hexagonal":
        return "hexagonal_3d"
    return "rigid_body" if plan.generator == "packed-bed-blender" else "spherical_packing"


def _refuse_contradictions(plan: BedPlan) -> None:
    if plan.particle_diameter_m >= plan.diameter_m:
        raise Invalid.at(
            "/particle_diameter_m",
            f"A particle of {plan.particle_diameter_m:g} m does not fit into a bed of"
            f" {plan.diameter_m:g} m.",
        )
    if plan.particle_count is not None and plan.packing_height_m is not None:
        message = "Give particle_count or packing_height_m, not both."
        raise Invalid.at("/packing_height_m", message)
    if plan.packing_height_m is not None and plan.packing_height_m > plan.height_m:
        raise Invalid.at(
            "/packing_height_m",
            f"The packing would be higher than the tube, which has {plan.height_m:g} m.",
        )
    named = plan.packing.method
    if named is not None and _PACKINGS.get(named, "gravity") != plan.method:
        message = f"{named} is not a method by {plan.method}; leave one of the two out."
        raise Invalid.at("/packing/method", message)


def _refuse_too_full(plan: BedPlan) -> None:
    """Spheres that no packing whatever has room for."""
    if plan.particle_shape != "sphere" or plan.particle_count is None:
        return
    solid = plan.particle_count * math.pi / 6 * plan.particle_diameter_m**3
    room = math.pi / 4 * plan.diameter_m**2 * plan.height_m
    if solid > _DENSEST * room:
        most = int(_DENSEST * room / (math.pi / 6 * plan.particle_diameter_m**3))
        raise Invalid.at(
            "/particle_count",
            f"{plan.particle_count} spheres do not fit: this tube never holds more than {most}.",
        )
