"""Jobs: look, wait, list, cancel, reopen, delete."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from usina.http_kit.call import Call, needs
from usina.http_kit.job import JobDocument, job_document
from usina.http_kit.paging import PageDocument, PageQuery, answer_page, decode_cursor
from usina.http_kit.problem import problems
from usina.http_kit.query import Moment, Number, Query, parameters, read_query
from usina.http_kit.reply import json_response
from usina.kernel.artifacts.artifact import Artifact
from usina.kernel.errors import Conflict
from usina.kernel.jobs.job import Job
from usina.kernel.jobs.state import Status
from usina.kernel.jobs.store.query import JobFilter
from usina.kernel.tenancy.permission import Permission

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

Reading = Annotated[Call, needs(Permission.JOBS_READ)]
Writing = Annotated[Call, needs(Permission.JOBS_WRITE)]

JobId = Annotated[str, Path(description="The job's id.", json_schema_extra={"format": "uuid"})]
_MAIN_KINDS: Final = ("model", "image", "video", "data", "report", "preview")


class WaitQuery(Query):
    wait_seconds: Number = Field(
        0, ge=0, le=60, description="Answer when the job ends, or after so long at most."
    )


class JobQuery(PageQuery):
    status: tuple[Status, ...] = Field((), description="May be repeated: any of them.")
    model: str | None = Field(None, description="Jobs of this model.")
    created_after: Moment | None = Field(None, description="RFC 3339, with its offset.")
    labels: dict[str, str] = Field(
        {}, description="`label.k=v`: jobs whose label `k` is `v`; several must all match."
    )

    @classmethod
    def prefixed(cls) -> Mapping[str, str]:
        return {"label.": "labels"}


class DownloadDocument(BaseModel):
    download_url: str = Field(description="Relative and signed: good without a key.")
    expires_in: int = Field(description="Seconds.")


@router.get(
    "/{job_id}",
    summary="Get a job, or wait for its end",
    response_model=JobDocument,
    responses=problems(401, 403, 404, 422),
    openapi_extra={"parameters": parameters(WaitQuery)},
)
async def get_job(request: Request, job_id: JobId, call: Reading) -> Response:
    """The job now; with `wait_seconds` once it has ended, or as it is after that time."""
    seconds = read_query(request, WaitQuery).wait_seconds
    jobs = call.platform.jobs
    if seconds:
        job = await jobs.wait(call.organization_id, job_id, seconds)
    else:
        job = await jobs.get(call.organization_id, job_id)
    return _job_response(job, call)


@router.get(
    "",
    summary="List jobs",
    response_model=PageDocument[JobDocument],
    responses=problems(401, 403, 422),
    openapi_extra={"parameters": parameters(JobQuery)},
)
async def list_jobs(request: Request, call: Reading) -> Response:
    """The organization's jobs, newest first, narrowed by every given filter at once."""
    query = read_query(request, JobQuery)
    wanted = JobFilter(query.status, query.model, query.labels, query.created_after)
    after = decode_cursor("jobs", query.cursor)
    page = await call.platform.jobs.list(call.organization_id, wanted, after, query.limit)
    return json_response(answer_page("jobs", page, lambda job: job_document(job, call.link)))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    status_code=202,
    response_model=JobDocument,
    responses={
        200: {"model": JobDocument, "description": "It had ended already."},
        **problems(401, 403, 404),
    },
)
async def cancel_job(job_id: JobId, call: Writing) -> Response:
    """The job will end as CANCELLED unless it ends first; asking again changes nothing."""
    before, job = await call.platform.jobs.cancel(
        call.organization_id, job_id, call.note("job.cancelled", ("job", job_id))
    )
    return _job_response(job, call, 200 if before.terminal else 202)


@router.post(
    "/{job_id}/retry",
    summary="Reopen a job",
    status_code=202,
    response_model=JobDocument,
    responses=problems(401, 403, 404, 409),
)
async def retry_job(job_id: JobId, call: Writing) -> Response:
    """A failed or cancelled job is queued again, with one attempt more."""
    note = call.note("job.reopened", ("job", job_id))
    job = await call.platform.jobs.retry(call.organization_id, job_id, note)
    return _job_response(job, call, 202)


@router.delete(
    "/{job_id}",
    summary="Delete a job",
    status_code=204,
    responses=problems(401, 403, 404, 409),
)
async def delete_job(job_id: JobId, call: Writing) -> Response:
    """An ended job goes with its events and its artifacts."""
    note = call.note("job.deleted", ("job", job_id))
    await call.platform.jobs.delete(call.organization_id, job_id, note)
    return Response(status_code=204)


@router.get(
    "/{job_id}/download",
    summary="Where the main artifact is",
    response_model=DownloadDocument,
    responses=problems(401, 403, 404, 409),
)
async def download_job(job_id: JobId, call: Reading) -> Response:
    """A signed address of the job's main artifact; 409 before it is there.

    The main one is the first of the first kind that the job has of: model, image, video, data,
    report, preview.
    """
    main = main_artifact(await call.platform.jobs.get(call.organization_id, job_id))
    expires_in = call.platform.settings.link_seconds
    return json_response({"download_url": call.link(main.id), "expires_in": expires_in})


def main_artifact(job: Job) -> Artifact:
    """The artifact that the job was run for."""
    ready = job.artifacts if job.status is Status.SUCCEEDED else ()
    for kind in _MAIN_KINDS:
        for artifact in ready:
            if artifact.kind == kind:
                return artifact
    raise Conflict(
        f"The job is {job.status.value} and has no result to download.", code="artifact_not_ready"
    )


def _job_response(job: Job, call: Call, status: int = 200) -> Response:
    return json_response(job_document(job, call.link), status)
