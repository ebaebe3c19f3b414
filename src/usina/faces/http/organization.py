"""The organization of who calls: its name, its quotas and their use, what it keeps."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from usina.http_kit.body import json_body, read_json
from usina.http_kit.call import Call, needs
from usina.http_kit.problem import problems
from usina.http_kit.reply import json_response
from usina.kernel.clock import rfc3339
from usina.kernel.jobs.organization import Organization
from usina.kernel.tenancy.permission import Permission
from usina.kernel.tenancy.quota import Quota
from usina.kernel.tenancy.retention import Kept

router = APIRouter(prefix="/api/v1/organizations", tags=["identity"])

Reading = Annotated[Call, needs(Permission.ORGANIZATION_READ)]
Administering = Annotated[Call, needs(Permission.ORGANIZATION_ADMIN)]

_MOST_BYTES: Final = 16 * 1024
_MOST: Final = 2**53
_LONGEST_DAYS: Final = 36_500
Count = Annotated[int, Field(ge=1, le=_MOST)]
Days = Annotated[float, Field(gt=0, le=_LONGEST_DAYS, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class QuotaRequest(_Body):
    """Null, or left out: no limit of its own."""

    running_jobs: Count | None = None
    queued_jobs: Count | None = None
    stored_bytes: Count | None = None


class RetentionRequest(_Body):
    """Null, or left out: as long as the platform keeps it."""

    jobs_days: Days | None = None
    events_days: Days | None = None
    files_days: Days | None = None
    photos_days: Days | None = None


class OrganizationChange(_Body):
    """What is left out stays as it is; what is given is replaced whole."""

    name: str | None = Field(None, json_schema_extra={"minLength": 1, "maxLength": 200})
    quotas: QuotaRequest | None = None
    retention: RetentionRequest | None = None


class QuotaDocument(BaseModel):
    running_jobs: int | None
    queued_jobs: int | None
    stored_bytes: int | None


class UsageDocument(BaseModel):
    running_jobs: int
    queued_jobs: int
    stored_bytes: int


class RetentionDocument(BaseModel):
    jobs_days: float | None
    events_days: float | None
    files_days: float | None
    photos_days: float | None


class OrganizationDocument(BaseModel):
    """The organization of who calls."""

    id: str
    name: str
    created_at: datetime
    quotas: QuotaDocument = Field(description="Its own; null is no limit of its own.")
    usage: UsageDocument = Field(description="The same three, counted.")
    retention: RetentionDocument


_CHANGE: Final = TypeAdapter(OrganizationChange)


@router.get(
    "/current",
    summary="The organization",
    response_model=OrganizationDocument,
    responses=problems(401, 403),
)
async def get_organization(call: Reading) -> Response:
    """Of the key or token that calls."""
    return json_response(_document(await call.platform.organizations.get(call.organization_id)))


@router.put(
    "/current",
    summary="Change the organization",
    response_model=OrganizationDocument,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
    openapi_extra=json_body(OrganizationChange),
)
async def change_organization(request: Request, call: Administering) -> Response:
    """Its name, its quotas and how long it keeps things."""
    wanted, _ = await read_json(request, _CHANGE, _MOST_BYTES)
    quotas = None if wanted.quotas is None else Quota(**wanted.quotas.model_dump())
    retention = None if wanted.retention is None else Kept(**wanted.retention.model_dump())
    changed = await call.platform.organizations.update(
        call.organization_id, wanted.name, quotas, retention, call.actor
    )
    return json_response(_document(changed))


def _document(one: Organization) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "created_at": rfc3339(one.created_at),
        "quotas": asdict(one.quotas),
        "usage": asdict(one.usage),
        "retention": asdict(one.retention),
    }
