"""What a generator is asked for, and the hash by which equal beds share what it makes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from usina.apps.cfd.bed.plan import BedPlan
from usina.apps.cfd.choice import chosen
from usina.kernel.errors import FieldError, Invalid, Problem
from usina.kernel.jobs.job import JobRequest
from usina.kernel.registry import Model, Registry

PARTICLES: Final = "particles.csv"
_GROUPS: Final = ("particles", "packing")
_NOT_A_PARAMETER: Final = frozenset({"name", "generator"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """``hash`` is of all that the particles depend on: the generator, its version, its parameters
    with their defaults."""

    request: JobRequest
    hash: str


def recipe_of(plan: BedPlan, registry: Registry) -> Recipe:
    """Raises ``Invalid``: ``unknown_model``, ``model_unavailable``, or what the generator does not
    take, at its place in the bed."""
    model = chosen(plan.generator, "generator", registry, _makes_particles)
    given, places = _params(plan, model.form.params_schema["properties"])
    try:
        params = model.form.fill(given)
    except Invalid as refusal:
        raise in_bed(refusal, places) from refusal
    told = json.dumps([model.name, model.version, params], sort_keys=True)
    request = JobRequest(model=model.name, params=given)
    return Recipe(request, hashlib.sha256(told.encode()).hexdigest())


def _makes_particles(model: Model) -> bool:
    """Any model that does is a generator."""
    return PARTICLES in model.manifest.outputs


def _params(plan: BedPlan, known: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What has been said and the generator knows by name, and where each stands in the bed."""
    told = plan.model_dump(exclude_none=True)
    given: dict[str, Any] = {}
    places: dict[str, str] = {}
    for at, name, value in _said(told):
        if name in known and name not in given:
            given[name], places[name] = value, at
    return given, places


def _said(told: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for name, value in told.items():
        if name not in _NOT_A_PARAMETER and not isinstance(value, dict):
            yield f"/{name}", name, value
    for group in _GROUPS:
        for name, value in told[group].items():
            yield f"/{group}/{name}", name, value


def in_bed(refusal: Invalid, places: Mapping[str, str]) -> Problem:
    """A refusal of the generator's parameters at the places of the bed that they came from."""
    moved: list[FieldError] = []
    for error in refusal.errors:
        name, slash, rest = error.pointer.removeprefix("/params/").partition("/")
        moved.append(FieldError(places.get(name, f"/{name}") + slash + rest, error.message))
    return Invalid(refusal.detail, code=refusal.code, errors=moved)
