"""From what a caller asks to what may be stored: every refusal names its place and the remedy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.errors import Invalid
from usina.kernel.guard.reach import Reach
from usina.kernel.guard.target import check_url
from usina.kernel.ids import is_id
from usina.kernel.jobs.job import JobRequest
from usina.kernel.jobs.room import Room
from usina.kernel.jobs.store.insert import InputRef, NewJob
from usina.kernel.jobs.store.source import Source, find_sources
from usina.kernel.registry import Model, Registry
from usina.kernel.runners.form import escaped, suggestion
from usina.kernel.text import refuse_nul

_MAX_LABELS: Final = 64
_MAX_KEY: Final = 64
_MAX_VALUE: Final = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds that settings move."""

    max_timeout_seconds: float
    reach: Reach = field(default_factory=Reach)


@dataclass(frozen=True, slots=True)
class Checked:
    """A request that is right in itself; its inputs still have to be looked up."""

    request: JobRequest
    model: Model
    params: dict[str, Any]
    timeout_seconds: float


def check(request: JobRequest, registry: Registry, limits: Limits) -> Checked:
    """Everything that needs no database; raises ``Invalid`` with a pointer."""
    model = registry.get(request.model)
    if model is None:
        known = [m.name for m in registry.all()]
        raise Invalid.at(
            f"{request.pointer}/model",
            f"There is no model named {request.model!r}.{suggestion(request.model, known)}",
            code="unknown_model",
        )
    if not model.available:
        raise Invalid.at(
            f"{request.pointer}/model",
            model.unavailable_reason or "The model can not run here.",
            code="model_unavailable",
        )
    _check_numbers(request, limits)
    _check_labels(request)
    if request.callback_url is not None:
        check_url(request.callback_url, limits.reach, f"{request.pointer}/callback_url")
    params = model.form.fill(request.params, f"{request.pointer}/params")
    model.form.check_inputs(request.inputs, f"{request.pointer}/inputs")
    timeout = request.timeout_seconds
    return Checked(
        request, model, params, model.timeout_seconds if timeout is None else float(timeout)
    )


def input_ids(checked: Iterable[Checked]) -> set[str]:
    """What all the inputs name, without what can be no id."""
    return {
        source_id
        for item in checked
        for value in item.request.inputs.values()
        for source_id in _listed(value)
        if is_id(source_id)
    }


def resolve(tx: Transaction, organization_id: str, checked: Sequence[Checked]) -> list[NewJob]:
    """Looks the inputs up among the organization's files and artifacts, in one go."""
    wanted = input_ids(checked)
    sources = find_sources(tx, organization_id, wanted, keep=True) if wanted else {}
    return [_new_job(organization_id, item, sources) for item in checked]


def needs_of(model: Model) -> Room:
    """What a job of it takes of a machine, by its manifest."""
    needs = model.resources
    card_bytes = needs.gpu_memory_bytes if needs.gpu else 0
    return Room(needs.slots, needs.memory_bytes, needs.gpu, card_bytes)


def _new_job(organization_id: str, checked: Checked, sources: Mapping[str, Source]) -> NewJob:
    request, model = checked.request, checked.model
    return NewJob(
        organization_id=organization_id,
        model=model.name,
        model_version=model.version,
        queue=model.queue,
        needs=needs_of(model),
        params=checked.params,
        inputs={k: list(v) if isinstance(v, list) else v for k, v in request.inputs.items()},
        references=tuple(_references(checked, sources)),
        labels=request.labels,
        priority=request.priority,
        max_attempts=request.max_attempts,
        timeout_seconds=checked.timeout_seconds,
        strict=request.strict,
        reuse=request.reuse,
        callback_url=request.callback_url,
    )


def _references(checked: Checked, sources: Mapping[str, Source]) -> Iterable[InputRef]:
    request = checked.request
    for name, value in request.inputs.items():
        for place, source_id in enumerate(_listed(value)):
            pointer = f"{request.pointer}/inputs/{escaped(name)}"
            if isinstance(value, list):
                pointer += f"/{place}"
            source = sources.get(source_id)
            if source is None:
                message = f"There is no file or artifact {source_id!r}; upload it first."
                raise Invalid.at(pointer, message, code="input_not_found")
            checked.model.form.check_media_type(name, source.media_type, pointer)
            yield InputRef(name, place, source.kind, source_id)


def _check_numbers(request: JobRequest, limits: Limits) -> None:
    bounds: tuple[tuple[str, float | None, float, float], ...] = (
        ("priority", request.priority, -100, 100),
        ("max_attempts", request.max_attempts, 1, 20),
        ("timeout_seconds", request.timeout_seconds, 1, limits.max_timeout_seconds),
    )
    for name, value, low, high in bounds:
        if value is not None and not low <= value <= high:
            raise Invalid.at(
                f"{request.pointer}/{name}",
                f"{name} is {value:g}; it goes from {low:g} to {high:g}.",
            )


def _check_labels(request: JobRequest) -> None:
    at = f"{request.pointer}/labels"
    if len(request.labels) > _MAX_LABELS:
        raise Invalid.at(
            at, f"A job has at most {_MAX_LABELS} labels; here are {len(request.labels)}."
        )
    for key, value in request.labels.items():
        if not 1 <= len(key) <= _MAX_KEY:
            raise Invalid.at(
                at, f"A label's key has 1 to {_MAX_KEY} characters; one has {len(key)}."
            )
        refuse_nul(key, at)
        refuse_nul(value, f"{at}/{escaped(key)}")
        if len(value) > _MAX_VALUE:
            raise Invalid.at(
                f"{at}/{escaped(key)}",
                f"A label's value has at most {_MAX_VALUE} characters; this one has {len(value)}.",
            )


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
