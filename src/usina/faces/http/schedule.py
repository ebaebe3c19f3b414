"""Schedules: jobs by the clock."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from usina.faces.http.submission import Submission
from usina.http_kit.body import read_json
from usina.http_kit.call import Call, needs
from usina.http_kit.idempotent import KEY_PARAMETER, fingerprint, once
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import parameters, read_query
from usina.http_kit.reply import answer_response, json_answer, json_response
from usina.kernel.clock import rfc3339
from usina.kernel.db.unit_of_work import Transaction
from usina.kernel.idempotency.service import Answer
from usina.kernel.jobs.job import JobRequest
from usina.kernel.jobs.schedule.rule import Rule
from usina.kernel.jobs.schedule.store import Plan, Schedule
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/schedules", tags=["operators"])

Reading = Annotated[Call, needs(Permission.SCHEDULES_READ)]
Writing = Annotated[Call, needs(Permission.SCHEDULES_WRITE)]

ScheduleId = Annotated[
    str, Path(description="The schedule's id.", json_schema_extra={"format": "uuid"})
]
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/SchedulePlan"}}},
}


class SchedulePlan(BaseModel):
    """A schedule to be: exactly one of `cron` and `every_seconds` is given."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "example": {
                "name": "nightly",
                "cron": "30 2 * * *",
                "timezone": "Europe/Lisbon",
                "job": {"model": "echo-v1", "params": {"seconds": 1}},
            }
        },
    )

    name: str = Field(json_schema_extra={"minLength": 1, "maxLength": 200})
    cron: str | None = Field(
        None, description="Minute, hour, day of the month, month, day of the week."
    )
    every_seconds: int | None = Field(None, json_schema_extra={"minimum": 1, "maximum": 31_536_000})
    timezone: str = Field("UTC", description="Of the IANA database; cron follows its wall clock.")
    job: Submission
    catch_up: Literal["skip", "one", "all"] = Field(
        "one", description="What becomes of moments that passed while nothing looked."
    )
    enabled: bool = True

    def plan(self) -> Plan:
        """The same for the kernel."""
        rule = Rule(self.cron, self.every_seconds, self.timezone)
        return Plan(self.name, self.job.request("/job"), rule, self.catch_up, self.enabled)


SCHEDULE: TypeAdapter[SchedulePlan] = TypeAdapter(SchedulePlan)


class ScheduledJobDocument(BaseModel):
    """As a submit, with its defaults."""

    model: str
    params: dict[str, Any]
    inputs: dict[str, str | list[str]]
    priority: int
    max_attempts: int
    timeout_seconds: float | None
    labels: dict[str, str]
    strict: bool
    reuse: bool
    callback_url: str | None


class ScheduleDocument(BaseModel):
    """A schedule now."""

    id: str
    name: str
    cron: str | None
    every_seconds: int | None
    timezone: str
    job: ScheduledJobDocument
    catch_up: Literal["skip", "one", "all"]
    enabled: bool
    created_at: datetime
    next_at: datetime | None = Field(description="Null while it is not enabled.")
    last_job_id: str | None
    last_error: str | None = Field(description="Why its last moment made no job.")


@router.get(
    "",
    summary="List schedules",
    response_model=PageDocument[ScheduleDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(PageQuery)},
)
async def list_schedules(request: Request, call: Reading) -> Response:
    """The organization's schedules, newest first."""
    query = read_query(request, PageQuery)
    after = decode_cursor("schedules", query.cursor)
    page = await call.platform.schedules.list(call.organization_id, after, query.limit)
    return json_response(answer_page("schedules", page, _document))


@router.post(
    "",
    summary="Make a schedule",
    status_code=201,
    response_model=ScheduleDocument,
    responses={
        201: {"headers": {"Location": {"schema": {"type": "string"}}}},
        **problems(400, 401, 403, 409, 413, 415, 422),
    },
    openapi_extra={"parameters": [KEY_PARAMETER], "requestBody": _BODY},
)
async def create_schedule(request: Request, call: Writing) -> Response:
    """From now on its jobs are made by the clock, each moment exactly once."""
    with once(request, call) as asked:
        wanted, body = await _read(request, call)
        if (replay := await asked.replay(fingerprint(body))) is not None:
            return replay

        def keep(tx: Transaction, new: Schedule) -> None:
            asked.record(tx, _created(new))
            call.note("schedule.created", ("schedule", new.id), after={"name": new.plan.name})(tx)

        new = await call.platform.schedules.create(call.organization_id, wanted.plan(), keep)
        return answer_response(_created(new))


@router.get(
    "/{schedule_id}",
    summary="Get a schedule",
    response_model=ScheduleDocument,
    responses=problems(401, 403, 404),
)
async def get_schedule(schedule_id: ScheduleId, call: Reading) -> Response:
    """The schedule with its next moment and its last job."""
    found = await call.platform.schedules.get(call.organization_id, schedule_id)
    return json_response(_document(found))


@router.put(
    "/{schedule_id}",
    summary="Replace a schedule",
    response_model=ScheduleDocument,
    responses=problems(400, 401, 403, 404, 413, 415, 422),
    openapi_extra={"requestBody": _BODY},
)
async def replace_schedule(request: Request, schedule_id: ScheduleId, call: Writing) -> Response:
    """The body replaces the whole of it: what is left out has its default again."""
    wanted, _ = await _read(request, call)
    schedules = call.platform.schedules
    after = {"name": wanted.name, "enabled": wanted.enabled}
    note = call.note("schedule.replaced", ("schedule", schedule_id), after=after)
    changed = await schedules.replace(call.organization_id, schedule_id, wanted.plan(), note)
    return json_response(_document(changed))


@router.delete(
    "/{schedule_id}",
    summary="Delete a schedule",
    status_code=204,
    responses=problems(401, 403, 404),
)
async def delete_schedule(schedule_id: ScheduleId, call: Writing) -> Response:
    """It fires no more; the jobs that it made stay."""
    note = call.note("schedule.deleted", ("schedule", schedule_id))
    await call.platform.schedules.delete(call.organization_id, schedule_id, note)
    return Response(status_code=204)


async def _read(request: Request, call: Call) -> tuple[SchedulePlan, bytes]:
    return await read_json(request, SCHEDULE, call.platform.settings.max_body_bytes)


def _created(new: Schedule) -> Answer:
    return json_answer(_document(new), 201, {"location": f"/api/v1/schedules/{new.id}"})


def _document(schedule: Schedule) -> dict[str, Any]:
    plan, next_at = schedule.plan, schedule.next_at
    return {
        "id": schedule.id,
        "name": plan.name,
        "cron": plan.rule.cron,
        "every_seconds": plan.rule.every_seconds,
        "timezone": plan.rule.timezone,
        "job": _job_document(plan.job),
        "catch_up": plan.catch_up,
        "enabled": plan.enabled,
        "created_at": rfc3339(schedule.created_at),
        "next_at": None if next_at is None else rfc3339(next_at),
        "last_job_id": schedule.last_job_id,
        "last_error": schedule.last_error,
    }


def _job_document(job: JobRequest) -> dict[str, Any]:
    return {name: getattr(job, name) for name in ScheduledJobDocument.model_fields}
