"""An object of the catalogue: its function, what the function takes, and what people call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Literal, get_args, get_type_hints

from usina.apps.threed.parametric.body import Body
from usina.apps.threed.parametric.measure import (
    Bound,
    Chance,
    Length,
)

Scaling = Literal["whole", "each", "fixed"]
"""What one given length does to the others: all grow with it, or none; ``fixed`` takes no words
like small and large, since a standard says the sizes."""


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    bound: Bound
    default: Any


@dataclass(frozen=True, slots=True)
class Thing:
    """``english`` and ``portuguese`` are its names, the first of each the one to show; ``given``
    are arguments that the name itself decides (a box *with lid*), ``across`` the lengths of
    ``A x B x C`` where they are others than width, depth and height."""

    name: str
    build: Callable[..., Body]
    english: tuple[str, ...]
    portuguese: tuple[str, ...]
    scaling: Scaling = "whole"
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    across: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(_parameters(self.build)))

    @property
    def product(self) -> tuple[str, ...]:
        """The lengths of ``A x B x C``, in order."""
        return self.across or tuple(
            name
            for group in _ACROSS
            for name in group
            if isinstance(getattr(self.parameter(name), "bound", None), Length)
        )

    def takes(self) -> str:
        """What may be said about it besides colour and material, for a refusal."""
        names = [each.name.replace("_", " ") for each in self.parameters if _may_say(each)]
        return ", ".join(names) if names else "no sizes"

    def parameter(self, name: str) -> Parameter | None:
        return next((each for each in self.parameters if each.name == name), None)

    def of_kind(self, kind: type[Bound]) -> list[Parameter]:
        return [each for each in self.parameters if isinstance(each.bound, kind)]

    @property
    def lengths(self) -> list[Parameter]:
        """Those that the caller may give, the main one first."""
        return self.of_kind(Length)


_ACROSS = (("width", "diameter"), ("depth",), ("height", "length", "thickness"))


def _may_say(parameter: Parameter) -> bool:
    return not isinstance(parameter.bound, Chance)


def _parameters(build: Callable[..., Body]) -> list[Parameter]:
    hints = get_type_hints(build, include_extras=True)
    found: list[Parameter] = []
    for name, declared in signature(build).parameters.items():
        bounds = [
            extra
            for part in (hints[name], *get_args(hints[name]))
            for extra in get_args(part)
            if isinstance(extra, Bound)
        ]
        found.append(Parameter(name, bounds[0], declared.default))
    return found
