"""The catalogue."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from usina.http_kit.call import Call, needs
from usina.http_kit.paging import PageDocument, PageQuery, page_by_name
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import json_response
from usina.kernel.errors import NotFound
from usina.kernel.registry import Model
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/models", tags=["models"])

Reading = Annotated[Call, needs(Permission.PLATFORM_READ)]


class ResourcesDocument(BaseModel):
    gpu: int
    memory_bytes: int
    slots: int
    gpu_memory_bytes: int = Field(description="What one of its GPUs needs; 0 is not told.")
    cpu: bool = Field(description="Whether it can run without a GPU.")


class TermsDocument(BaseModel):
    """What its licence says beyond its name."""

    url: str | None
    commercial: bool
    revenue_limit_usd: int | None
    excluded_territories: list[str] = Field(description="ISO 3166 codes, or `EU`.")
    gated: bool = Field(description="Whether its weights are for those who accept its terms.")
    notice: str | None = Field(description="To be shown with results.")


class WeightsDocument(BaseModel):
    name: str
    source: str = Field(description="`hf:owner/repo`, or a web address.")
    file: str
    sha256: str | None
    bytes: int | None
    setting: str | None = Field(description="The variable that holds another path for it.")


class DeclaredGateDocument(BaseModel):
    name: str
    limit: str = Field(description="Such as `= true` or `>= 0.5`.")
    message: str


class ModelDocument(BaseModel):
    """What can be run here, and what it takes."""

    name: str
    version: str
    task: str
    description: str
    license: str
    input_schema: dict[str, Any] = Field(description="JSON Schema of a job's `inputs`.")
    params_schema: dict[str, Any] = Field(description="JSON Schema of a job's `params`.")
    default_params: dict[str, Any]
    resources: ResourcesDocument
    timeout_seconds: float
    terms: TermsDocument | None
    weights: list[WeightsDocument]
    installable: bool = Field(description="Whether `usina models install` knows how.")
    gates: list[DeclaredGateDocument] = Field(description="What its results are held to.")
    available: bool = Field(description="Whether it can run in this deployment.")
    unavailable_reason: str | None = Field(
        description="Why not, and the setting that would change it."
    )
    waits_because: str | None = Field(
        description="What the living workers lack for a job of it, which would wait for them."
    )


@router.get(
    "",
    summary="List the models",
    response_model=PageDocument[ModelDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_models(request: Request, call: Reading) -> Response:
    """Every model by name, also those that can not run here, with the reason."""
    query = read_query(request, PageQuery)
    models = call.platform.registry.all()
    waiting = await call.platform.jobs.why_waiting(models)
    return json_response(
        page_by_name("models", query, models, lambda model: _document(model, waiting))
    )


@router.get(
    "/{name}",
    summary="Get a model",
    response_model=ModelDocument,
    responses=problems(401, 403, 404),
)
async def get_model(name: str, call: Reading) -> Response:
    """What a model takes, what it needs, and whether it can run here."""
    model = call.platform.registry.get(name)
    if model is None:
        raise NotFound
    return json_response(_document(model, await call.platform.jobs.why_waiting([model])))


def _document(model: Model, waiting: Mapping[str, str]) -> dict[str, Any]:
    manifest = model.manifest
    return {
        "name": model.name,
        "version": model.version,
        "task": model.task,
        "description": model.description,
        "license": model.license,
        "input_schema": model.input_schema,
        "params_schema": model.params_schema,
        "default_params": model.default_params,
        "resources": asdict(model.resources),
        "timeout_seconds": model.timeout_seconds,
        "terms": manifest.terms and manifest.terms.model_dump(mode="json"),
        "weights": [each.model_dump(mode="json") for each in manifest.weights],
        "installable": manifest.install is not None,
        "gates": [
            {"name": name, "limit": gate.limit, "message": gate.message}
            for name, gate in manifest.gates.items()
        ],
        "available": model.available,
        "unavailable_reason": model.unavailable_reason,
        "waits_because": waiting.get(model.name) if model.available else None,
    }
