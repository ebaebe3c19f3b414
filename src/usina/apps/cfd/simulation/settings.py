"""What a simulation is asked for: the solver, the fluid, how fast it flows, on which mesh."""

from typing import Annotated, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from usina.apps.cfd.bed.plan import BedPlan, Cfd
from usina.apps.cfd.bed.text import Name
from usina.apps.cfd.choice import chosen
from usina.kernel.errors import FieldError, Invalid
from usina.kernel.registry import Model, Registry

INPUT: Final = "bed"
VELOCITY: Final = "velocity_m_s"
_MOST_VELOCITIES: Final = 64
_AIR: Final = (1.2, 1.8e-5)
"""kg/m3 and Pa s, at 20 C."""

_CALM: Final = 0.1
_FASTEST: Final = 1000


def _velocity(value: Any) -> Any:
    """One refusal for the whole field, whichever of its two forms was meant."""
    values = _listed(value)
    if not 1 <= len(values) <= _MOST_VELOCITIES:
        told = {"most": _MOST_VELOCITIES}
        raise PydanticCustomError("velocities", "A list has 1 to {most} velocities.", told)
    for each in values:
        number = isinstance(each, int | float) and not isinstance(each, bool)
        if not number or not 0 < each <= _FASTEST:
            told = {"fastest": _FASTEST}
            message = "A velocity is a number above 0 and at most {fastest} m/s."
            raise PydanticCustomError("velocity", message, told)
    return value


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


_ONE: Final = {"type": "number", "exclusiveMinimum": 0, "maximum": _FASTEST}
_MANY: Final = {"type": "array", "minItems": 1, "maxItems": _MOST_VELOCITIES, "items": _ONE}
Velocity = Annotated[
    float | list[float], PlainValidator(_velocity), WithJsonSchema({"anyOf": [_ONE, _MANY]})
]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Fluid(Strict):
    """Air where nobody says another, neither here nor in the bed's `cfd`."""

    density_kg_m3: Annotated[float, Field(gt=0, le=30_000)] | None = None
    viscosity_pa_s: Annotated[float, Field(gt=0, le=1e4)] | None = None


class Settings(Strict):
    solver: str = Field("bed-flow-lbm", min_length=1, max_length=128)
    fluid: Fluid = Fluid()
    velocity_m_s: Velocity | None = Field(
        None, description="Superficial; a list is one job on one mesh."
    )
    mesh: Annotated[dict[str, Any], Field(max_length=64)] = Field(
        {}, description="As the solver's `mesh` parameter."
    )


class SweepPlan(Settings):
    """One simulation for each combination of the values in `over`."""

    name: Name = "sweep"
    bed: dict[str, Any] = Field(
        {}, description="As the body of a new bed; a `name` may be missing."
    )
    over: Annotated[dict[str, list[Any]], Field(min_length=1, max_length=6)] = Field(
        description="By field: of the bed (`seed`, `packing.friction`), `velocity_m_s`, "
        "`fluid.viscosity_pa_s`, `mesh.<name>`."
    )


def params_of(settings: Settings, plan: BedPlan, registry: Registry) -> dict[str, Any]:
    """What the solver is given, with its defaults. Raises ``Invalid``: ``unknown_model``,
    ``model_unavailable``, or what the solver does not take, at its place in the request."""
    model = chosen(settings.solver, "solver", registry, _solves)
    given = _given(settings, plan.cfd)
    if "diameter_m" in model.form.params_schema["properties"]:
        given["diameter_m"] = plan.diameter_m
    try:
        return model.form.fill(given)
    except Invalid as refusal:
        raise in_request(refusal) from refusal


def in_request(refusal: Invalid) -> Invalid:
    """A refusal of the job at the place of the request that it came from."""
    moved = [
        FieldError(error.pointer.removeprefix("/params"), error.message) for error in refusal.errors
    ]
    return Invalid(refusal.detail, code=refusal.code, errors=moved)


def _given(settings: Settings, cfd: Cfd) -> dict[str, Any]:
    density, viscosity = settings.fluid.density_kg_m3, settings.fluid.viscosity_pa_s
    velocity = settings.velocity_m_s
    given: dict[str, Any] = {
        "fluid": {
            "density_kg_m3": density or cfd.fluid_density_kg_m3 or _AIR[0],
            "viscosity_pa_s": viscosity or cfd.fluid_viscosity_pa_s or _AIR[1],
        },
        VELOCITY: velocity or cfd.inlet_velocity_m_s or _CALM,
    }
    return {**given, "mesh": settings.mesh} if settings.mesh else given


def _solves(model: Model) -> bool:
    """Any model that takes a bed and a velocity is a solver."""
    return INPUT in model.manifest.inputs and VELOCITY in model.form.params_schema["properties"]
