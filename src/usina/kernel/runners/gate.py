"""Gates: what a model's results are held to, declared in its manifest and judged after the run.

A gate compares one metric that the program told with a bound. A metric that was not told leaves its
gate unchecked, and an unchecked gate is not a passed one.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Value = float | int | str


class GateSpec(BaseModel):
    """``[gates.NAME]`` of a manifest: ``metric``, one bound (``at_least`` and ``at_most`` may stand
    together), and a sentence that says what the gate is good for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str = Field(min_length=1, max_length=128)
    message: str = Field(min_length=1, max_length=500)
    equals: bool | float | int | str | None = None
    at_least: float | None = Field(None, allow_inf_nan=False)
    at_most: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        between = self.at_least is not None or self.at_most is not None
        if between == (self.equals is not None):
            raise ValueError("needs equals, or at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least is above at_most")
        return self

    @property
    def limit(self) -> str:
        """The bound in writing: ``= true``, ``>= 0.5``, ``>= 0.2 and <= 0.9``."""
        if self.equals is not None:
            wanted = self.equals
            return f"= {str(wanted).lower() if isinstance(wanted, bool) else wanted}"
        bounds = ((">=", self.at_least), ("<=", self.at_most))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    def holds(self, value: Value) -> bool:
        if self.equals is not None:
            return value == self.equals
        if isinstance(value, str):
            return False
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate once the run is over; ``ok`` is null where it could not be checked."""

    name: str
    ok: bool | None
    value: Value | None
    limit: str
    message: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def judge(specs: Mapping[str, GateSpec], metrics: Mapping[str, Value]) -> tuple[Gate, ...]:
    """Every gate of a manifest against what the program told."""
    return tuple(_judged(name, spec, metrics.get(spec.metric)) for name, spec in specs.items())


def _judged(name: str, spec: GateSpec, value: Value | None) -> Gate:
    if value is None:
        told = f"Not checked: the program told no metric {spec.metric!r}. {spec.message}"
        return Gate(name, None, None, spec.limit, told)
    ok = spec.holds(value)
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    told = spec.message if ok else f"{spec.metric} is {shown}, not {spec.limit}. {spec.message}"
    return Gate(name, ok, value, spec.limit, told)
