"""What a caller may ask of ``bed-flow-openfoam``: numbers within bounds, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fluid:
    """Air at room temperature unless told."""

    density_kg_m3: float = 1.2
    viscosity_pa_s: float = 1.8e-5

    @property
    def kinematic_m2_s(self) -> float:
        return self.viscosity_pa_s / self.density_kg_m3


@dataclass(frozen=True, slots=True)
class MeshOption:
    """``cells_per_diameter`` of a particle before ``surface_level`` halvings at its surface;
    ``shrink`` is the share by which particles are made smaller about their centres; the empty tube
    before and behind the bed is told in particle diameters."""

    cells_per_diameter: int = 8
    surface_level: int = 1
    shrink: float = 0.0
    inlet_diameters: float = 2.0
    outlet_diameters: float = 3.0


@dataclass(frozen=True, slots=True)
class Option:
    """``diameter_m`` is the tube's, null for what the particles touch. A velocity is solved for at
    most ``max_iterations``; a program that says nothing for ``silence_seconds`` is taken for
    dead; fields are kept for another attempt every ``checkpoint_seconds``."""

    fluid: Fluid = Fluid()
    velocity_m_s: tuple[float, ...] = (0.1,)
    mesh: MeshOption = MeshOption()
    diameter_m: float | None = None
    max_iterations: int = 600
    silence_seconds: float = 900.0
    checkpoint_seconds: float = 300.0


def read_option(params: Mapping[str, Any]) -> Option:
    """Of a job's parameters, whose bounds the manifest has checked. Every number is made one here:
    no text of a caller goes further."""
    velocities = params.get("velocity_m_s", 0.1)
    if isinstance(velocities, int | float):
        velocities = [velocities]
    diameter = params.get("diameter_m")
    return Option(
        fluid=_numbers(Fluid, params.get("fluid", {})),
        velocity_m_s=tuple(float(velocity) for velocity in velocities),
        mesh=_numbers(MeshOption, params.get("mesh", {})),
        diameter_m=None if diameter is None else float(diameter),
        max_iterations=int(params.get("max_iterations", 600)),
        silence_seconds=float(params.get("silence_seconds", 900)),
        checkpoint_seconds=float(params.get("checkpoint_seconds", 300)),
    )


def _numbers(kind: type[_T], told: Mapping[str, Any]) -> _T:
    """A group of numbers, each of the type of its default."""
    plain: Any = kind
    default = plain()
    return plain(
        **{
            field.name: type(getattr(default, field.name))(told[field.name])
            for field in fields(plain)
            if field.name in told
        }
    )
